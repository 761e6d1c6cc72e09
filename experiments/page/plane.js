// The landscapes: shades of a function of the plane, and the paths of rules on it.

const CELLS = 120, SHADES = 12;  // of the picture, a side, and of grey
const NEAREST = 1e-8;  // distance that is drawn

const landscape = () => DATA.landscapes[state.landscape];
const rateOf = name => state[`${name}.rate`] ?? DATA.rules[name].rate;

// The axes of the window.
function planeAxes() {
  const [[left, right], [bottom, top]] = landscape().window;
  return [{low: left, high: right, label: "x"}, {low: bottom, high: top}];
}

// Where paths begin: the landscape's own start, until another is chosen.
function startOfPath() {
  const [x, y] = landscape().start;
  return [state.from_x ?? x, state.from_y ?? y];
}

function startFrom(x, y) {
  const [across, up] = planeAxes();
  state.from_x = rounded(within(x, across));
  state.from_y = rounded(within(y, up));
  drawPlaneControls();
  drawPlane();
  writeAddress("landscapes");
}

// Shades of the logarithm of the height above the lowest cell.
function shades(x, y) {
  const along = ({low, high}, i) => low + (i + 0.5) / CELLS * (high - low);
  const cells = Array.from({length: CELLS ** 2}, (_, i) =>
    height(state.landscape, along(x, i % CELLS), along(y, CELLS - 1 - Math.floor(i / CELLS))));
  const lowest = cells.reduce((a, b) => Math.min(a, b));
  const levels = cells.map(h => Math.log(1 + 100 * (h - lowest)));
  const most = levels.reduce((a, b) => Math.max(a, b));
  const shade = level => [128, 128, 128, 18 * Math.floor(SHADES * level / most)];
  return raster(CELLS, CELLS, (column, row) => shade(levels[row * CELLS + column]))(x, y);
}

function drawPlane() {
  const rules = chosen("plane_rules");
  const paths = rules.map(name => descend(state.landscape,
    [name, {...given(name, false), lr: rateOf(name)}], startOfPath(), state.path_steps, state.seed));
  drawPaths(rules, paths);
  drawDistances(rules, paths);
}

function drawPaths(rules, paths) {
  const [x, y] = planeAxes(), [from_x, from_y] = startOfPath();
  const star = ([a, b]) => (X, Y) =>
    `<text x="${X(a)}" y="${Y(b) + 7}" text-anchor="middle" font-size="20">★</text>`;
  const path = (points, i) => {
    const seen = thinned(points);
    return curve(style(i), seen.map(([a]) => within(a, x)), seen.map(([, b]) => within(b, y)));
  };
  const end = (points, i) =>
    `${rules[i]} ends ${short(rounded(distance(points.at(-1))))} from a minimum`;
  const key = (name, i) => `<span class="key"><span class="swatch ${style(i)}"></span> ${name}</span>`;
  figure("plane", landscape().title, {
    height: 420, x, y,
    layers: [
      shades(x, y), ...landscape().minima.map(star), ...paths.map(path),
      (X, Y) => `<circle class="here" r="6" cx="${X(from_x)}" cy="${Y(from_y)}"/>`,
    ],
    alt: paths.map(end).join("; "),
    caption: `${rules.map(key).join(" ")} ★ minima; ring: the start`,
  });
}

function drawDistances(rules, paths) {
  const away = paths.map(points => thinned(points.map((point, t) => [t + 1, distance(point)])));
  const lasts = away.map(points => points.at(-1)[1]);
  const y = {kind: "log", low: Math.max(NEAREST, Math.min(...lasts) / 2), high: 10};
  figure("heights", "Distance to the nearest minimum", {
    x: {kind: "log", low: 1, high: state.path_steps, label: "t"}, y,
    layers: away.map((points, i) =>
      curve(style(i), points.map(([t]) => t), points.map(([, left]) => left), y)),
    ends: rules.map((name, i) => [style(i), name, within(lasts[i], y)]),
    alt: rules.map((name, i) => `${name}: ${short(rounded(lasts[i]))}`).join("; "),
    caption: "At constant rates; else with the defaults of each rule, or what you set for it alone above.",
  });
}

function distance([x, y]) {
  const all = landscape().minima.map(([a, b]) => Math.hypot(x - a, y - b));
  return Math.max(NEAREST, Math.min(...all));
}

// At most a thousand of the points of a path, and its last.
function thinned(points) {
  const every = Math.ceil(points.length / 999);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}
