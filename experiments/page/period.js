// One period of the online problem: the closed form of its drift, and the microscope.

const BETAS = [0, 0.9, 0.99, 0.999, 0.9999, 0.99999];
const [MAP_X, MAP_Y] = [["β₁", 1e-4], ["β₂", 1e-6]].map(([label, lowest]) => ({  // of 1 - beta
  kind: "log", low: 1, high: lowest, label,
  marks: BETAS.filter(beta => 1 - beta > lowest * 0.99).map(beta => [1 - beta, String(beta)]),
}));
// Values of beta2, for the line on which beta1 is their root
const EDGE = Array.from({length: 75}, (_, i) => 1 - 10 ** (-i / 20));
const UP = [213, 94, 0, 150], DOWN = [0, 114, 178, 110];  // colours of the map

const focus = () => chosen().includes(state.focus) ? state.focus : chosen()[0];

function drawVerdict() {
  $("verdict").textContent = verdict(focus(), driftOf(focus()));
}

function verdict(name, by) {
  if (by === undefined)
    return `For ${name} here there is no closed form; its curve says what it does.`;
  const {"betas[0]": beta1, "betas[1]": beta2} = given(name), edge = threshold(beta1, rhoOf(name));
  const amount = `${by > 0 ? "+" : ""}${short(rounded(by))} α a period`;
  const end = by > 0 ? "up, to +1, the worst point" : "down, to −1, the best point";
  const ends = `Here that ends where β₂ exceeds ${rounded(edge ?? 0, 6)}: then v still knows the ` +
    "spike when the small gradients come.";
  const told = edge === undefined ? "" : by > 0 ? ends
    : beta2 > edge ? `Below β₂ = ${rounded(edge, 6)} it would climb.` : "";
  return `With β = (${beta1}, ${beta2}) ${name} drifts by ${amount}: ${end}. ${told}`;
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
  map = {key, picture: raster(cells, cells, (...cell) => climbs(...cell) ? UP : DOWN)};
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
      paintMap(rho)(MAP_X, MAP_Y),
      curve("k5", EDGE.map(beta => 1 - Math.sqrt(beta)), EDGE.map(beta => 1 - beta)),
      here,
    ],
    alt: `${name} at beta = (${beta1}, ${beta2}) drifts by ${short(rounded(by))} alpha a period, ` +
      `to ${signed(by)}`,
    caption: `Across β₁, up β₂; orange to +1, the worst point, blue to −1; the ring is where you are,
      and a click takes you elsewhere. Above the line, β₁ &lt; √β₂, Theorem 2 has a bad problem for
      every pair; this is one problem.`,
  });
}

function drawMicroscope() {
  const title = "One period under the microscope";
  if (state.kind !== "periodic")
    return without("microscope", title, "Spikes at random have no period.");
  const name = focus(), seen = microscope(state, [name, given(name)], state.before);
  const weights = seen.weight.filter(w => w > 0 && Number.isFinite(w));
  const sum = seen.sum.at(-1);
  const part = sign => seen.move.filter(m => m * sign > 0).reduce((a, b) => a + b, 0);
  const [up, down] = [part(1), -part(-1)].map(move => short(rounded(move, 2)));
  const strips = [
    strip("the slope g<sub>t</sub>", seen.slope, {upward: g => g < 0,
      marks: [state.large, -state.small], alt: `${state.large} once, then −${state.small}`}),
    weights.length ? weightStrip(seen.weight, Math.min(...weights), Math.max(...weights)) : "",
    strip("the move of x", seen.move, {alt: `${up} up and ${down} down`}),
    strip("the sum of moves", seen.sum, {alt: `${short(rounded(sum))} at the end`}),
  ];
  $("microscope").innerHTML = `<h3>One period of ${name} under the microscope</h3>${strips.join("")}
    <figcaption>After ${state.before} periods, without the limits −1 and 1: ${down} down, ${up} up, so x
    ${sum > 0 ? "climbs" : "falls"} by ${short(rounded(Math.abs(sum), 2))} a period. Momentum, β₁,
    spreads the spike over several moves; blue goes down, orange up.</figcaption>`;
}

const stripOf = (title, spec) => `<h4>${title}</h4>${chart({
  ...spec,
  width: Math.max($("microscope").clientWidth, 280),
  height: 112,
  x: {low: -0.5, high: state.period - 0.5,
    marks: [[0, "spike"], [state.period - 1, `${state.period - 1} later`]]},
})}`;

function strip(title, values, {marks, alt, upward = v => v > 0}) {
  const y = {low: Math.min(0, ...values), high: Math.max(0, ...values)};
  if (marks) y.marks = marks.map(v => [v, short(v)]);
  return stripOf(title, {y, layers: [bars(values, 0, upward)], alt});
}

function weightStrip(weights, least, most) {
  const low = least / 1.2, marks = [least, most].map(v => [v, short(rounded(v, 2))]);
  return stripOf("what multiplies it, α<sub>t</sub>/√v<sub>t</sub>", {
    y: {kind: "log", low, high: most * 1.2, marks},
    layers: [bars(weights, low, () => null)],
    alt: `from ${short(rounded(least))} to ${short(rounded(most))}`,
  });
}

// What stands in place of a figure that there is none of.
function without(id, title, why) {
  $(id).innerHTML = `<h3>${title}</h3><figcaption>${why}</figcaption>`;
}
