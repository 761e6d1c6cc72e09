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
const WIDE = 30;  // what is so many times as large as the rest asks for a logarithmic axis

const focus = () => chosen().includes(state.focus) ? state.focus : chosen()[0];

function drawVerdict() {
  $("verdict").textContent = verdict();
}

function verdict() {
  const going = sign => chosen().filter(name => Math.sign(driftOf(name)) === sign);
  const told = (names, one, more, end) =>
    names.length ? [`${listed(names)} ${names.length > 1 ? more : one} ${end}`] : [];
  const parts = [
    ...told(going(1), "climbs", "climb", "towards +1, the worst point"),
    ...told(going(-1), "falls", "fall", "towards −1, the best"),
  ];
  if (!parts.length) return "Here there is no closed form; the curves say what the rules do.";
  return `With β₂ = ${state.beta2} ${parts.join("; ")}. ${turning(focus())}`;
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
    caption: `${PATCH("worse")} to +1, the worst point, ${PATCH("better")} to −1, the best. The ring
      is where you are; a click takes you elsewhere.`,
  });
}

function drawMicroscope() {
  const title = `One period, ${state.period} steps, under the microscope`;
  if (state.kind !== "periodic")
    return without("microscope", title, "Spikes at random have no period.");
  const seen = chosen().map((name, i) =>
    ({name, style: style(i), ...microscope(state, [name, given(name)], state.before)}));
  const {name, slope, move} = seen.find(one => one.name === focus());
  const columns = $("microscope").clientWidth > 620 ? 2 : 1;
  const strips = [
    barStrip("1. The gradients of a period", slope, g => g < 0),
    lineStrip("2. What each is divided by: √v<sub>t</sub> / α<sub>t</sub>", seen, "divisor"),
    barStrip(`3. So the moves of x under ${name} are`, move, step => step > 0),
    lineStrip("4. And their sum, since the spike, is", seen, "sum"),
  ].map(strip => strip($("microscope").clientWidth / columns - 8 * columns));
  $("microscope").innerHTML = `<h3>${title}</h3>
    <div class="strips" style="--columns: ${columns}">${strips.join("")}</div>
    <figcaption>${PATCH("better")} pushes x down, to the best point, ${PATCH("worse")} up.
    In the period after ${state.before}, if there were no limits at −1 and 1:
    ${seen.map(moved).join("; ")}.</figcaption>`;
}

function moved({name, move, sum}) {
  const part = sign => move.filter(step => step * sign > 0).reduce((a, b) => a + b, 0);
  const [down, up, all] = [-part(-1), part(1), sum.at(-1)].map(x => short(rounded(x)));
  return `${name} ${down} down, ${up} up, in sum ${all}`;
}

const strip = (title, spec) => width => `<div><h4>${title}</h4>${chart({
  ...spec, width: Math.max(width, 280), height: STRIP,
  x: {low: -0.5, high: state.period - 0.5,
    marks: [[0, "spike"], [state.period - 1, `${state.period - 1} later`]]},
})}</div>`;

// Bars; one that would make the others too small to be seen is cut off, and says so.
function barStrip(title, values, upward) {
  const sizes = values.map(Math.abs), most = Math.max(...sizes), at = sizes.indexOf(most);
  const room = 3 * Math.max(...sizes.filter((_, i) => i !== at));
  const cut = most > 2 * room, shown = cut ? values.with(at, Math.sign(values[at]) * room) : values;
  const y = {low: Math.min(0, ...shown), high: Math.max(0, ...shown)};
  const told = `${short(rounded(values[at]))}${cut ? ", cut off here" : ""}`;
  const note = (X, Y) => `<text class="faint" x="${X(at) + 8}"
    y="${Y(shown[at]) + (shown[at] > 0 ? 10 : -4)}">${told}</text>`;
  const alt = `${short(rounded(values[0]))} at the spike, then up to ${short(rounded(values.at(-1)))}`;
  return strip(title, {y, layers: [bars(shown, 0, upward), note], alt});
}

// A curve for each rule; those that divide by nothing are cut off where the others end.
function lineStrip(title, seen, what) {
  const whole = seen.filter(one => one.name === focus() || Number.isFinite(one.divisor[0]));
  const values = whole.flatMap(one => one[what]).filter(Number.isFinite);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const y = least > 0 && most > WIDE * least ? {kind: "log", low: least, high: most}
    : {low: Math.min(0, least), high: Math.max(0, most, -0.2 * least)};
  const shown = seen.filter(one => Number.isFinite(one[what].at(-1)));
  const end = one => within(one[what].at(-1), y);
  return strip(title, {
    y,
    right: Math.min(MARGIN.right + LETTER * Math.max(...shown.map(one => one.name.length), 0), 120),
    layers: [
      ...what === "sum" ? [limit(0, "above 0 x climbs")] : [],
      ...shown.map(one => curve(one.style, [...one[what].keys()], one[what], y)),
      names(shown.map(one => [one.style, one.name, end(one)]), state.period - 0.5, STRIP - MARGIN.bottom),
    ],
    alt: shown.map(one => `${one.name}: ${short(rounded(one[what][0]))} at the spike, ` +
      `${short(rounded(one[what].at(-1)))} at the end`).join("; "),
  });
}

// What stands in place of a figure that there is none of.
function without(id, title, why) {
  $(id).innerHTML = `<h3>${title}</h3><figcaption>${why}</figcaption>`;
}
