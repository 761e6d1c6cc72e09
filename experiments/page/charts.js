// Charts as SVG, in text: axes, curves with their names at their ends, bands, bars, maps.

const TRANSFORMS = {
  linear: v => v,
  log: Math.log10,
  symlog: v => Math.sign(v) * Math.log10(1 + Math.abs(v) / 0.01),
};
const MARGIN = {left: 46, right: 12, top: 8, bottom: 34};
const LETTER = 7.8;  // the width of one in a curve's name

const escaped = text => String(text).replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
const short = v => {
  if (v === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(v)) + 1e-9);
  if (Math.abs(exponent) < 4) return String(Number(v.toPrecision(4))).replace("-", "−");
  const digits = Number.isInteger(v / 10 ** exponent) ? 0 : 1;
  return v.toExponential(digits).replace("e+", "e").replace("-", "−");
};

// Where values go between two ends of the picture, and back.
function axis({kind = "linear", low, high}, from, to) {
  const f = TRANSFORMS[kind], a = f(low), b = f(high) === a ? a + 1 : f(high);
  const place = v => from + (f(v) - a) / (b - a) * (to - from);
  place.ends = [from, to];
  place.back = pixel => a + (pixel - from) / (to - from) * (b - a);  // transformed
  return place;
}

function ticks({kind = "linear", low, high}) {
  if (kind === "symlog")
    return [-1000, -10, -0.1, 0, 0.1, 10, 1000].filter(v => v >= low && v <= high);
  if (kind === "log") {
    const powers = [];
    let exponent = Math.ceil(Math.log10(low) - 1e-9);
    for (; 10 ** exponent <= high * (1 + 1e-9); exponent++) powers.push(10 ** exponent);
    const every = Math.ceil(powers.length / 7);
    return powers.filter((_, i) => i % every === 0);
  }
  const rough = (high - low) / 5, base = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].find(n => n * base >= rough) * base;
  const first = Math.ceil(low / unit - 1e-9), count = Math.floor(high / unit + 1e-9) - first;
  return Array.from({length: count + 1}, (_, i) => Number(((first + i) * unit).toPrecision(10)));
}

// Axes of {kind, low, high, label, marks}, where marks are [value, text], and on them the layers:
// functions of the two axes that give SVG. Limits are [value, text, side], whose lines lie behind
// the layers and their texts, above or below (side 1) the line, in front of them.
function chart({width, height = 260, x, y, layers, limits = [], alt, right = MARGIN.right}) {
  const X = axis(x, MARGIN.left, width - right), Y = axis(y, height - MARGIN.bottom, MARGIN.top);
  const marks = one => one.marks ?? ticks(one).map(v => [v, short(v)]);
  const [left, end] = [MARGIN.left, width - right], floor = height - MARGIN.bottom;
  const grid = [
    ...marks(x).map(([v, text]) => `<path class="grid" d="M${X(v)} ${MARGIN.top}V${floor}"/>
      <text x="${X(v)}" y="${floor + 14}"
        text-anchor="${X(v) > width - 30 ? "end" : "middle"}">${text}</text>`),
    ...marks(y).map(([v, text]) => `<path class="grid" d="M${left} ${Y(v)}H${end}"/>
      <text x="${left - 5}" y="${Y(v) + 4}" text-anchor="end">${text}</text>`),
  ];
  return `<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(alt)}">
    ${grid.join("")}
    <path class="axis" d="M${left} ${MARGIN.top}V${floor}H${end}"/>
    <text class="faint" x="${end}" y="${height - 4}" text-anchor="end">${x.label ?? ""}</text>
    <text class="faint" x="${left - 5}" y="${MARGIN.top + 4}" text-anchor="end">${y.label ?? ""}</text>
    ${limits.map(([at]) => `<path class="limit" d="M${left} ${Y(at)}H${end}"/>`).join("")}
    ${layers.map(layer => layer(X, Y)).join("")}
    ${limits.map(([at, text, below]) => `<text class="faint" x="${left + 5}"
      y="${Y(at) + (below ? 13 : -4)}">${text}</text>`).join("")}</svg>`;
}

const path = points =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const within = (v, {low, high}) => Math.min(Math.max(v, low), high);

const curve = (style, xs, ys, range) => (X, Y) => {
  const points = ys.map((y, i) => [X(xs[i]), Y(range ? within(y, range) : y)]);
  return `<path class="curve ${style}" d="${path(points.filter(([, y]) => Number.isFinite(y)))}"/>`;
};

const band = (style, xs, low, high, range) => (X, Y) => {
  const kept = [...low.keys()].filter(i => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  const edge = values => kept.map(i => [X(xs[i]), Y(within(values[i], range))]);
  const there = edge(low), back = edge(high).reverse();
  return kept.length ? `<path class="band ${style}" d="${path([...there, ...back])}Z"/>` : "";
};

// Names beside the ends of curves, [style, name, value], moved apart where they would overlap.
const names = (ends, x, floor) => (X, Y) => {
  const labels = ends.map(([style, name, y]) => ({style, name, at: Y(y)}));
  labels.sort((a, b) => a.at - b.at);
  let last = -Infinity, next = floor;
  for (const label of labels) label.at = last = Math.max(label.at, last + 13);
  for (const label of labels.toReversed()) label.at = next = Math.min(label.at, next - 13);
  return labels.map(({style, name, at}) =>
    `<text class="label ${style}" x="${X(x) + 5}" y="${at + 4}">${escaped(name)}</text>`).join("");
};

// Bars from the base, of the colour of "up, to the worst point" or of "down, to the best".
const bars = (ys, base, upward) => (X, Y) => ys.map((y, i) => {
  const [a, b] = [Y(y), Y(base)], wide = Math.max(X(1) - X(0) - 0.4, 0.8);
  const style = upward(y) ? "worse" : "better";
  return `<rect class="bar ${style}" x="${X(i) - wide / 2}" width="${wide}"
    y="${Math.min(a, b)}" height="${Math.max(Math.abs(a - b), 0.3)}"/>`;
}).join("");

// A rectangle of columns x rows cells from the upper left, of the colour of "up" where `up(column,
// row)` is true, and else of that of "down".
const halves = (columns, rows, up) => {
  const runs = [];  // of cells side by side: [row, first, end]
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      if (!up(column, row)) continue;
      if (runs.at(-1)?.[0] === row && runs.at(-1)[2] === column) runs.at(-1)[2]++;
      else runs.push([row, column, column + 1]);
    }
  return ({ends: [left, right]}, {ends: [floor, top]}) => {
    const wide = (right - left) / columns, tall = (floor - top) / rows;
    const cells = runs.map(([row, first, end]) => `M${left + first * wide} ${top + row * tall}` +
      `h${(end - first) * wide}v${tall}h${(first - end) * wide}z`);
    return `<path class="half better" d="M${left} ${top}H${right}V${floor}H${left}z"/>
      <path class="half worse" d="${cells.join("")}"/>`;
  };
};

// A picture behind the axes: columns x rows cells from the upper left, each of the colour
// [red, green, blue, alpha] that `color(column, row)` gives.
const raster = (columns, rows, color) => {
  const canvas = Object.assign(document.createElement("canvas"), {width: columns, height: rows});
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      image.data.set(color(column, row), 4 * (row * columns + column));
  context.putImageData(image, 0, 0);
  const url = canvas.toDataURL();
  return ({low, high}, {low: bottom, high: top}) => (X, Y) =>
    `<image href="${url}" x="${X(low)}" y="${Y(top)}" width="${X(high) - X(low)}"
      height="${Y(bottom) - Y(top)}" preserveAspectRatio="none"/>`;
};

// Where a chart was clicked, as the axes' transformed values.
function clicked(event, x, y) {
  const svg = event.target.closest("svg");
  if (!svg) return undefined;
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  const scale = view.width / box.width;
  const X = axis(x, MARGIN.left, view.width - MARGIN.right);
  const Y = axis(y, view.height - MARGIN.bottom, MARGIN.top);
  return [X.back((event.clientX - box.left) * scale), Y.back((event.clientY - box.top) * scale)];
}
