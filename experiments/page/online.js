// The lab's online problem: what its rules are set to, how they are played, and their curves.

const style = i => `k${i}`;
const signed = toward => toward > 0 ? "+1" : "−1";

// Which end of [-1, 1] is the best, as a sign; 0 where all points are as good.
const best = () => -Math.sign(rounded(meanSlope(state), 9));
const called = toward => !best() ? "" : best() === toward ? "the best point" : "the worst point";
const pointed = toward => best() ? `${signed(toward)}, ${called(toward)}` : signed(toward);

// The schedule of the step size, with alpha in the fields that stand for it; milestones in order.
function schedule() {
  const {fields} = DATA.schedules[state.schedule], found = {schedule: state.schedule};
  const isMilestone = ({field}) => field.startsWith("milestones");
  const inOrder = fields.filter(isMilestone).map(({key}) => state[key]).sort((a, b) => a - b);
  for (const one of fields)
    found[one.field] = one.alpha ? state.lr : isMilestone(one) ? inOrder.shift() : state[one.key];
  return found;
}

// The settings of a rule: its own, else those that rules share, if they do, else its defaults.
function given(name, sharing = true) {
  const found = {};
  for (const {place: at, shared} of DATA.rules[name].places) {
    const mine = state[`${name}.${at}`];
    if (mine !== undefined) found[at] = mine;
    else if (sharing && shared) found[at] = shared === "lr" ? schedule() : state[shared];
  }
  return found;
}

// rho of the closed form, by which a rule remembers; undefined for a rule that has none.
function rhoOf(name) {
  const {rho} = DATA.rules[name];
  return typeof rho === "string" ? given(name)[rho] ?? place(name, rho).value : rho ?? undefined;
}

// [beta1, beta2, rho] of a rule's closed form on a problem; undefined where there is none.
function closedForm(name, problem = state) {
  const {"betas[0]": beta1, "betas[1]": beta2} = given(name), found = [beta1, beta2, rhoOf(name)];
  const remembers = found[2] === 0 || problem.large >= problem.small;  // the spike, in v_max
  const known = found.every(x => typeof x === "number") && state[`${name}.eps`] === undefined;
  return problem.kind === "periodic" && known && remembers ? found : undefined;
}

const TIE = 1e-9;  // in units of alpha: a drift below it is one of rounding

// How far a period moves x in the end, in units of alpha; undefined where that is not known.
function driftOf(name) {
  const known = closedForm(name), by = known && drift(state, ...known);
  return Math.abs(by) < TIE ? 0 : by;
}

let job = 0, latest = [];  // the play that is under way, and its runs
let ended = false;  // whether it is at its end

function playOnline() {
  const mine = ++job, began = performance.now();
  const rules = chosen().map(name => [name, given(name)]);
  const played = online({...state}, rules, state.steps);
  let drawn = 0, busy = 0;
  latest = played.runs;
  ended = false;
  const slice = () => {
    if (mine !== job) return;
    const start = performance.now();
    let more = true;
    while (more && performance.now() < start + 40) more = played.advance();
    busy += performance.now() - start;
    if (!more || start > drawn + 300) {
      drawOnline();
      drawn = performance.now();
    }
    if (more) setTimeout(slice);
    else {
      ended = true;
      drawVerdict();
      tellSpeed(rules.length, busy, performance.now() - began);
    }
  };
  slice();
}

function tellSpeed(rules, busy, all) {
  const [played, drawn] = [busy, all].map(milliseconds => (milliseconds / 1000).toFixed(2));
  $("speed").textContent = `${state.steps.toLocaleString("en")} steps of ${rules} rules in ` +
    `${played} s here; ${drawn} s with the drawing.`;
}

function drawOnline() {
  const runs = latest.filter(run => run.x.length).map(run =>
    ({...run, style: style(latest.indexOf(run)), toward: Math.sign(driftOf(run.name))}));
  const x = {kind: "log", low: 1, high: state.steps, label: "t, logarithmic"};
  const later = {...x, low: Math.min(state.steps / 10, 3 * state.period)};  // than the first spikes
  drawX(runs, x);
  drawRegret(runs, later);
  if ($("deeper").open) drawGamma(runs.filter(run => DATA.rules[run.name].metric), later);
}

function drawX(runs, x) {
  const unsettled = runs.filter(run => run.toward && Math.abs(run.x.at(-1) - run.toward) > 0.05);
  const name = run => run.error ? `${run.name}: stopped`
    : unsettled.includes(run) ? `${run.name} → ${signed(run.toward)}` : run.name;
  const told = run => `${run.name} is at x = ${short(rounded(run.x.at(-1)))} ` +
    `after ${run.times[run.x.length - 1]} steps`;
  const going = run => `${run.name} has not settled: by the moves of a settled period it ends at ` +
    `${signed(run.toward)}, unless α<sub>t</sub> runs out before.`;
  figure("x", "Where x goes", {
    x, y: {low: -1.25, high: 1.25},
    layers: [
      ...runs.map(run => curve(run.style, run.times, run.x)),
    ],
    limits: [[-1, called(-1), 1], [1, called(1)]],
    ends: runs.map(run => [run.style, name(run), run.x.at(-1)]),
    alt: runs.map(told).join("; "),
    caption: ["Time is logarithmic: the first periods, before v has settled, take up much of it.",
      ...unsettled.map(going), ...latest.map(run => run.error ?? "")].join(" "),
  });
}

function drawRegret(runs, x) {
  const worst = 2 * meanSlope(state);  // a step at +1
  const high = Math.max(1, 3 * worst), y = {low: Math.min(0, worst) - high / 12, high};
  figure("regret", "What it costs: the mean regret R<sub>t</sub>/t", {
    x, y,
    layers: [
      ...runs.map(run => curve(run.style, ...since(x.low, run.times, run.average), y)),
    ],
    limits: [[0, best() < 0 ? "no regret" : "staying at −1", 1], [worst, `${short(rounded(worst))}: staying at +1`]],
    ends: runs.map(run => [run.style, run.name, within(run.average.at(-1), y)]),
    alt: runs.map(run => `${run.name}: ${short(rounded(run.average.at(-1)))}`).join("; "),
    caption: `R<sub>t</sub> is the loss so far beyond that of staying at ${pointed(-1)}; it is
      recorded at ends of periods.${floorOf()}${cutOff(runs.map(run =>
      [run.name, since(x.low, run.times, run.average)[1]]), y)}`,
  });
}

// Why the mean regret does not vanish under the best of rules.
const floorOf = () => schedule().schedule !== "Constant" ? "" : " With a constant α every period " +
  "throws x about by as much as the one before, for ever, so that what is left of it is of the " +
  "order of α even where x falls to the best point: theorems take α<sub>t</sub> = α/√t.";

function drawGamma(runs, x) {
  const y = {kind: "symlog", low: -3000, high: 3000};
  const falls = run => run.low.some(gamma => gamma < 0) ? "negative at times" : "never negative";
  const range = run => (X, Y) => {
    const [times, low, high] = since(x.low, run.times, run.low, run.high);
    return band(run.style, times, low, high, y)(X, Y) + curve(run.style, times, low, y)(X, Y);
  };
  figure("gamma", "Γ<sub>t</sub>: does √v<sub>t</sub> / α<sub>t</sub> ever fall?", {
    x, y,
    layers: runs.map(range), limits: [[0, "0"]],
    ends: runs.map(run => [run.style, run.name, within(run.low.at(-1), y)]),
    alt: runs.map(run => `${run.name}: ${falls(run)}`).join("; "),
    caption: `Γ<sub>t</sub> = √v<sub>t</sub>/α<sub>t</sub> − √v<sub>t−1</sub>/α<sub>t−1</sub>: the
      least of it between recorded steps, and pale its range. The proof of Adam's convergence takes
      it never to be negative.${cutOff(runs.map(run =>
      [run.name, since(x.low, run.times, run.low, run.high).slice(1).flat()]), y)}`,
  });
}

// What a caption says of values, [name, values] each, that are outside of an axis.
function cutOff(curves, {low, high}) {
  const parts = curves.flatMap(([name, values]) => {
    const [least, most] = [Math.min(...values), Math.max(...values)].map(v => short(rounded(v)));
    return [
      ...values.some(v => v > high) ? [`${name} is up to ${most}`] : [],
      ...values.some(v => v < low) ? [`${name} is down to ${least}`] : [],
    ];
  });
  return parts.length ? ` Cut off at the edge: ${listed(parts)}.` : "";
}

// The columns of what was recorded, from a time on.
function since(from, times, ...columns) {
  const first = times.findIndex(t => t >= from);
  return [times, ...columns].map(column => column.slice(first));
}

// A chart with its title and caption; `ends` names curves at the right of it.
function figure(id, title, {ends = [], caption, height = 260, ...spec}) {
  const width = Math.max($(id).clientWidth, 280);
  const longest = Math.max(...ends.map(([, name]) => name.length));
  const right = ends.length ? Math.min(MARGIN.right + LETTER * longest, width * 0.42) : MARGIN.right;
  const layers = [...spec.layers, names(ends, spec.x.high, height - MARGIN.bottom)];
  $(id).innerHTML = `<h3>${title}</h3>
    ${chart({...spec, width, height, right, layers})}
    <figcaption>${caption}</figcaption>`;
}
