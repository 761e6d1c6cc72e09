// One period of the online problem: the closed form of its drift, and the microscope.

const BETAS = [0, 0.9, 0.99, 0.999, 0.9999, 0.99999];
const [MAP_X, MAP_Y] = [["β₁", 1e-4], ["β₂", 1e-6]].map(([label, lowest]) => ({  // of 1 - beta
  kind: "log", low: 1, high: lowest, label,
  marks: BETAS.filter(beta => 1 - beta > lowest * 0.99).map(beta => [1 - beta, String(beta)]),
}));
// Values of beta2, for the line on which beta1 is their root
const EDGE = Array.from({length: 75}, (_, i) => 1 - 10 ** (-i / 20));
const PATCH = style => `<span class="patch ${style}"></span>`;
const STRIP = 160;  // the height of a part of the microscope
const DWARFS = 5;  // what is so many times as large as another
const WIDE = 30;  // what is so many times as large as the rest asks for a logarithmic axis

const focus = () => chosen().includes(state.focus) ? state.focus : chosen()[0];

function drawVerdict() {
  $("story").innerHTML = story().map(sentence => `<p>${sentence}</p>`).join("");
  $("verdict").textContent = verdict();
}

const others = n => n === 1 ? "the other" : `the ${n} others`;

// The problem, what goes wrong, and what helps.
function story() {
  const {large, small, period, kind, probability} = state, mean = meanSlope(state);
  const drawn = kind === "drawn", [down, up] = drawn
    ? [probability * large, (1 - probability) * small].map(v => short(rounded(v)))
    : [large, (period - 1) * small].map(v => short(rounded(v, 9)));
  const end = mean > 0 ? "so −1 is the best point" : mean < 0 ? "so +1 is the best point"
    : "so all points are as good";
  $("problem").textContent = drawn
    ? `A gradient of +${large}, with a chance of ${probability}, among others of −${small}`
    : `One gradient of +${large} among ${period - 1} of −${small}`;
  const problem = "After Reddi, Kale and Kumar, <cite>On the Convergence of Adam and Beyond</cite> " +
    "(2018): x lives in [−1, 1]; " + (drawn
    ? `each gradient is, with a chance of ${probability}, +${large} and pushes x down, and else
      −${small} and pushes it up: in the mean ${down} against ${up}, ${end}.`
    : `one gradient in ${period}, of +${large}, pushes it down, and ${others(period - 1)}, of
      −${small}, ${period > 2 ? "push" : "pushes"} it up: ${down} against ${up}, ${end}.`);
  if (mean <= 0 || large <= small) return [problem, "Adam's trouble begins where the large ones " +
    "are rare and win by little: set a larger C."];
  return [problem,
    `Adam divides each by √v, where v is a fading memory of their squares: the large one by the
    most, the small ones by less and less while v forgets it, until together they can win, and x
    climbs.`,
    `A larger β₂ lets v forget more slowly, so that all are divided by nearly the same number, and
    the true sum wins; AMSGrad, which divides by the root of the largest v so far, never forgets.`];
}

// Where each rule goes: by the closed form where it has one, else as its run ended.
function verdict() {
  const groups = new Map();
  for (const name of chosen()) {
    const said = goes(name), key = said?.join(" ");
    if (said) groups.set(key, {said, names: [...groups.get(key)?.names ?? [], name]});
  }
  const parts = [...groups.values()].map(({said: [one, more, end], names}) =>
    `${listed(names)} ${names.length > 1 ? more : one} ${end}`);
  return `With β₁ = ${state.beta1} and β₂ = ${state.beta2} ${parts.join("; ") || "…"}. ${turning(focus())}`;
}

// [verb of one rule, verb of several, where to].
function goes(name) {
  const by = Math.sign(driftOf(name));
  if (by > 0) return ["climbs", "climb", `towards ${pointed(1)}`];
  if (by < 0) return ["falls", "fall", `towards ${pointed(-1)}`];
  const run = ended && latest.find(one => one.name === name);
  if (!run) return undefined;
  if (run.error) return ["stopped", "stopped", "before the end"];
  const x = run.x.at(-1), after = `after ${state.steps.toLocaleString("en")} steps`;
  if (Math.abs(x) < 1 - DATA.near) return ["is", "are", `at x = ${short(rounded(x, 2))} ${after}`];
  return ["is", "are", `at ${pointed(Math.sign(x))}, ${after}`];
}

const listed = names => names.join(", ").replace(/, ([^,]*)$/, " and $1");

// Where a rule turns round.
function turning(name) {
  const by = driftOf(name), {"betas[0]": beta1, "betas[1]": beta2} = given(name);
  if (by === undefined) return "";
  const edge = threshold(beta1, rhoOf(name)), at = rounded(edge ?? 0, 6);
  if (edge === undefined) return "";
  if (by > 0) return `Above β₂ = ${at} ${name} would fall.`;
  return beta2 > edge ? `Below β₂ = ${at} ${name} would climb.` : "";
}

// The largest beta2 at which x still climbs on this problem; undefined where it never does.
function threshold(beta1, rho) {
  const climbs = digits => drift(state, beta1, 1 - 10 ** -digits, rho) > 0;
  let low = 8, high = 8;  // -log10(1 - beta2)
  for (; low > 0 && !climbs(low); low -= 0.25) high = low;
  if (low <= 0 || low === 8) return undefined;
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2;
    if (climbs(middle)) low = middle;
    else high = middle;
  }
  return 1 - 10 ** -low;
}

let map = {};  // what was painted last, and for what

function paintMap(rho) {
  const key = JSON.stringify([state.large, state.small, state.period, rho]);
  if (map.key === key) return map.picture;
  const cells = Math.max(12, Math.min(72, Math.floor(Math.sqrt(6e5 / state.period))));
  const beta = (i, lowest) => 1 - lowest ** ((i + 0.5) / cells);
  const climbs = (column, row) =>
    drift(state, beta(column, MAP_X.high), beta(cells - 1 - row, MAP_Y.high), rho) > 0;
  map = {key, picture: halves(cells, cells, climbs)};
  return map.picture;
}

function drawMap() {
  if (state.kind !== "periodic")
    return without("map", "Where it drifts to", "The closed form is of periodic spikes.");
  const known = rhoOf(focus()) !== undefined, name = known ? focus() : "Adam";
  const rho = known ? rhoOf(name) : 0, at = known ? given(name) : {};
  const [beta1, beta2] = [at["betas[0]"] ?? state.beta1, at["betas[1]"] ?? state.beta2];
  const by = drift(state, beta1, beta2, rho), {high: left} = MAP_X, {high: top} = MAP_Y;
  const here = (X, Y) => `<circle class="here" r="6" cx="${X(Math.max(1 - beta1, left))}"
    cy="${Y(Math.max(1 - beta2, top))}"/>`;
  figure("map", `Where ${name} drifts to, in closed form`, {
    height: 300, x: MAP_X, y: MAP_Y,
    layers: [
      paintMap(rho),
      curve("k5", EDGE.map(beta => 1 - Math.sqrt(beta)), EDGE.map(beta => 1 - beta)),
      here,
    ],
    alt: `${name} at beta = (${beta1}, ${beta2}) drifts by ${short(rounded(by))} alpha a period, ` +
      `to ${signed(by)}`,
    caption: `${PATCH("worse")} to ${pointed(1)}, ${PATCH("better")} to ${pointed(-1)}. The ring
      is where you are; a click takes you elsewhere.`,
  });
}

const BEFORE = 1e5;  // steps before the period of a rule that has no closed form

// A period under a rule, in the end.
function periodOf(name, problem) {
  const known = closedForm(name, problem), set = given(name);
  if (known) return settledPeriod(problem, ...known);
  const alpha = typeof set.lr === "number" && set.lr || state.lr;
  return {...microscope(problem, [name, set], alpha, BEFORE), played: true};
}

function drawMicroscope() {
  const drawn = state.kind === "drawn";
  const period = drawn ? Math.max(2, Math.round(1 / state.probability)) : state.period;
  const problem = {...state, kind: "periodic", period};
  const title = drawn
    ? `Were the spikes ${period} steps apart, as in the mean: one such period under the microscope`
    : `One period, ${period} steps, under the microscope`;
  const seen = chosen().map((name, i) => ({name, style: style(i), ...periodOf(name, problem)}));
  const played = seen.filter(one => one.played).map(one => one.name);
  const early = played.length
    ? ` Of ${listed(played)} that is after ${BEFORE.toLocaleString("en")} steps.` : "";
  const {name, move} = seen.find(one => one.name === focus());
  const columns = $("microscope").clientWidth > 620 ? 2 : 1;
  const strips = [
    barStrip("1. The gradients of a period", slopesOfPeriod(problem), g => g < 0),
    lineStrip("2. What each is divided by: √v<sub>t</sub>", seen, "divisor"),
    barStrip(`3. So the moves of x under ${name} are, in α`, move, step => step > 0),
    lineStrip("4. And their sum, since the spike, is", seen, "sum"),
  ].map(strip => strip($("microscope").clientWidth / columns - 8 * columns));
  $("microscope").innerHTML = `<h3>${title}</h3>
    <div class="strips" style="--columns: ${columns}">${strips.join("")}</div>
    <figcaption>${PATCH("better")} pushes x down, to −1, ${PATCH("worse")} up, to +1. In the long
    run, if there were no limits at −1 and 1, a period moves x, in units of α,
    ${seen.map(moved).join("; ")}.${early}</figcaption>`;
}

function moved({name, move, sum}) {
  const part = sign => move.filter(step => step * sign > 0).reduce((a, b) => a + b, 0);
  const [down, up, all] = [-part(-1), part(1), sum.at(-1)].map(x => short(rounded(x)));
  return `under ${name} ${down} down and ${up} up, in sum ${all}`;
}

const strip = (title, period, spec) => width => `<div><h4>${title}</h4>${chart({
  ...spec, width: Math.max(width, 280), height: STRIP,
  x: {low: -0.5, high: period - 0.5,
    marks: [[0, "spike"], [period - 1, `${period - 1} later`]]},
})}</div>`;

// Bars; one that would make the others too small to be seen is cut off, and says so.
function barStrip(title, values, upward) {
  const sizes = values.map(Math.abs), most = Math.max(...sizes), at = sizes.indexOf(most);
  const room = 3 * Math.max(...sizes.filter((_, i) => i !== at));
  const cut = most > 2 * room, shown = cut ? values.with(at, Math.sign(values[at]) * room) : values;
  const y = {low: Math.min(0, ...shown), high: Math.max(0, ...shown)};
  const told = `${short(rounded(values[at]))}${cut ? ", cut off here" : ""}`;
  const note = (X, Y) => `<text class="faint" x="${X(at + 0.5) + 6}"
    y="${Y(shown[at]) + (shown[at] > 0 ? 10 : -4)}">${told}</text>`;
  const alt = `${short(rounded(values[0]))} at the spike, then up to ${short(rounded(values.at(-1)))}`;
  return strip(title, values.length, {y, layers: [bars(shown, 0, upward), note], alt});
}

// A curve for each rule; sums that dwarf that of the rule in focus are cut off where the others end.
function lineStrip(title, seen, what) {
  const size = one => Math.max(...one[what].map(Math.abs));
  const largest = DWARFS * size(seen.find(one => one.name === focus()));
  const whole = seen.filter(one => what !== "sum" || size(one) <= largest);
  const values = whole.flatMap(one => one[what]).filter(Number.isFinite);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const y = least > 0 && most > WIDE * least ? {kind: "log", low: least, high: most}
    : {low: Math.min(0, least), high: Math.max(0, most, -0.2 * least)};
  const shown = seen.filter(one => Number.isFinite(one[what].at(-1)));
  const last = one => one[what].at(-1), end = one => within(last(one), y);
  const named = one => last(one) > y.high ? `${one.name} ↑` : last(one) < y.low ? `${one.name} ↓`
    : one.name;
  const cut = cutOff(shown.map(one => [one.name, one[what]]), y);
  const note = [y.kind === "log" ? "logarithmic" : "", cut.trim()].filter(Boolean).join(". ");
  const period = shown[0]?.[what].length ?? 2;
  return strip(note ? `${title} <span class="note">(${note})</span>` : title, period, {
    y,
    right: Math.min(MARGIN.right + LETTER * Math.max(...shown.map(one => named(one).length), 0), 120),
    layers: [
      ...shown.map(one => curve(one.style, [...one[what].keys()], one[what], y)),
      names(shown.map(one => [one.style, named(one), end(one)]), period - 0.5, STRIP - MARGIN.bottom),
    ],
    limits: what === "sum" ? [[0, "above 0 x climbs"]] : [],
    alt: shown.map(one => `${one.name}: ${short(rounded(one[what][0]))} at the spike, ` +
      `${short(rounded(one[what].at(-1)))} at the end`).join("; "),
  });
}

// What stands in place of a figure that there is none of.
function without(id, title, why) {
  $(id).innerHTML = `<h3>${title}</h3><figcaption>${why}</figcaption>`;
}
