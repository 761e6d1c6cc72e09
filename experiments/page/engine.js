// Runs of rules, without a document: what is computed here, node can compute too.
//
// PRINTED holds the functions that were printed from traces, DATA what there is to know of them.
// No rule, schedule, problem or landscape is spelled out in this file.

const F = PRINTED.functions;
const STRETCH = 10000;  // steps between two looks at the clock
const POINTS = 600;  // recorded steps, of which some fall together

// Rules: what moves a point

// A rule on the coordinates x, kept in a box. `given` has the settings by place that differ from
// the defaults: a number, or {schedule, ...its fields}.
class Run {
  constructor(name, given, x, lo = -Infinity, hi = Infinity) {
    const rule = DATA.rules[name];
    this.name = name;
    this.t = 0;
    this.rule = PRINTED.rules[name];
    this.settings = {t: 0, box_lo: lo, box_hi: hi};
    this.scheduled = [];
    for (const {place, value, low, high} of rule.places) {
      const now = given[place] ?? value;
      if (typeof now === "number") {
        this.settings[place] = place === "eps" && now === 0 ? rule.no_eps : now;
      } else {
        const at = PRINTED.schedules[now.schedule](now);
        this.settings[place] = at(1);
        this.scheduled.push({place, at, low: low ?? -Infinity, high: high ?? Infinity});
      }
    }
    const first = (what, p) =>
      what === "p" ? p : typeof what === "string" ? this.settings[what] : what;
    this.arrays = {p: Float64Array.from(x), g: new Float64Array(x.length)};
    for (const [array, what] of Object.entries(rule.arrays))
      this.arrays[array] = Float64Array.from(x, p => first(what, p));
    if (rule.metric) this.arrays.metric = new Float64Array(x.length);
    this.numbers = {...rule.numbers};
  }

  // One step from the gradient in arrays.g; throws where a schedule leaves its range.
  step() {
    const {settings, scheduled} = this;
    settings.t = ++this.t;
    for (let i = 0; i < scheduled.length; i++) {
      const {place, at, low, high} = scheduled[i], value = at(this.t);
      if (!(value >= low && value <= high))
        throw new RangeError(`${place} of ${this.name} is ${value} at step ${this.t}`);
      settings[place] = value;
    }
    this.rule(this.arrays, this.numbers, settings);
  }
}

// Chance

// Numbers in [0, 1) from a seed: mulberry32, by Tommy Ettinger, which is in the public domain
function draws(seed) {
  return () => {
    seed = seed + 0x6D2B79F5 | 0;
    let z = Math.imul(seed ^ seed >>> 15, 1 | seed);
    z ^= z + Math.imul(z ^ z >>> 7, 61 | z);
    return ((z ^ z >>> 14) >>> 0) / 2 ** 32;
  };
}

// The online problem

// The slopes of the steps from 1 on, one after the other.
function slopesOf(problem) {
  if (problem.kind === "drawn") {
    const drawn = F.drawn_slope(problem), draw = draws(problem.seed);
    return () => drawn(draw());
  }
  const periodic = F.periodic_slope(problem);
  let t = 0;
  return () => periodic(++t);
}

const meanSlope = problem => problem.kind === "drawn"
  ? F.mean_slope(problem)()
  : F.mean_slope({...problem, probability: 1 / problem.period})();

// At most POINTS steps, evenly spaced in log t; beyond the first periods, ends of periods, since
// what is seen at other steps depends on how far they are from a spike.
function recordedTimes(steps, period) {
  const times = new Set();
  for (let i = 0; i < POINTS; i++) {
    const t = Math.round(steps ** (i / (POINTS - 1)));
    times.add(t > 3 * period ? t - t % period : t);
  }
  times.add(steps);
  return [...times].sort((a, b) => a - b);
}

// A run on the online problem, and what is recorded of it at some times: x before the step, the
// mean regret after it, and the least and the most of Gamma since the time before.
class Played {
  constructor(run, times) {
    this.run = run;
    this.name = run.name;
    this.times = times;
    this.error = null;
    this.x = [];
    this.average = [];
    this.low = [];
    this.high = [];
    this.regret = 0;
    this.metric = NaN;
    this.least = Infinity;
    this.most = -Infinity;
  }

  // Take the first n of the slopes; the regret is that of `mean`, if any, in place of each.
  play(slopes, n, mean) {
    const {run, times} = this, {p, g, metric} = run.arrays;
    for (let i = 0; i < n; i++) {
      const x = p[0];
      g[0] = slopes[i];
      run.step();
      this.regret += F.regret(mean ?? slopes[i], x);
      if (metric) {
        const gamma = metric[0] - this.metric;  // NaN, which no comparison takes, at the first
        if (gamma < this.least) this.least = gamma;
        if (gamma > this.most) this.most = gamma;
        this.metric = metric[0];
      }
      if (run.t === times[this.x.length]) this.record(x, p[0]);
    }
  }

  record(x, next) {
    const {t} = this.run;
    if (!Number.isFinite(next))
      throw new RangeError(`x of ${this.name} is ${next} after step ${t}`);
    this.x.push(x);
    this.average.push(this.regret / t);
    this.low.push(this.least);
    this.high.push(this.most);
    this.least = Infinity;
    this.most = -Infinity;
  }
}

// Plays rules, [name, given] each, against a problem: `advance()` goes on, and says whether there
// is more to play.
function online(problem, rules, steps) {
  const times = recordedTimes(steps, problem.kind === "drawn" ? 1 : problem.period);
  const next = slopesOf(problem), slopes = new Float64Array(STRETCH);
  const mean = problem.kind === "drawn" ? meanSlope(problem) : null;
  const runs = rules.map(([name, given]) => new Run(name, given, [problem.x1], -1, 1))
    .map(run => new Played(run, times));
  let t = 0;
  const advance = () => {
    const n = Math.min(STRETCH, steps - t);
    for (let i = 0; i < n; i++) slopes[i] = next();
    for (const run of runs) {
      try {
        if (!run.error) run.play(slopes, n, mean);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        run.error = error.message;
      }
    }
    t += n;
    return t < steps;
  };
  return {runs, advance};
}

// One period without the box, from its spike on: what each of its slopes is divided by, the moves
// of x, and their running sum, at a constant step size alpha and in units of it. Played to the end
// of the first period after `settling` steps.
function microscope(problem, [name, given], alpha, settling) {
  const next = slopesOf(problem), run = new Run(name, {...given, lr: alpha}, [0]);
  const {p, g, metric} = run.arrays, seen = {divisor: [], move: [], sum: []};
  const first = Math.ceil(settling / problem.period) * problem.period + problem.spike;
  let start = 0;
  for (let t = 1; t < first + problem.period; t++) {
    const x = p[0];
    g[0] = next();
    if (t === first) start = x;
    run.step();
    if (t < first) continue;
    seen.divisor.push(metric ? metric[0] * alpha : NaN);
    seen.move.push((p[0] - x) / alpha);
    seen.sum.push((p[0] - start) / alpha);
  }
  return seen;
}

// The same of a period in the end, once the state repeats itself; for rules of which DATA has a rho.
function settledPeriod(problem, beta1, beta2, rho) {
  const set = {...problem, beta1, beta2, rho}, root = F.root(set), move = F.move(set);
  const ages = [...Array(problem.period).keys()];
  let sum = 0;
  return {divisor: ages.map(root), move: ages.map(move), sum: ages.map(age => sum += move(age))};
}

// The slopes of a period, from its spike on.
const slopesOfPeriod = problem =>
  Array.from({length: problem.period}, (_, age) => F.periodic_slope(problem)(problem.spike + age));

// How far x moves in a period in the end, in units of alpha; for rules of which DATA has a rho.
function drift(problem, beta1, beta2, rho) {
  const move = F.move({...problem, beta1, beta2, rho});
  let sum = 0;
  for (let age = 0; age < problem.period; age++) sum += move(age);
  return sum;
}

// Landscapes

// The path of a rule from a start, [x, y] of each step; it ends early where it leaves the numbers.
function descend(landscape, [name, given], start, steps, seed) {
  const {gradient} = PRINTED.landscapes[landscape], {noise} = DATA.landscapes[landscape];
  const draw = draws(seed), run = new Run(name, given, start), {p, g} = run.arrays;
  const path = [[...start]];
  const sign = () => draw() < 0.5 ? -noise : noise;
  for (let t = 0; t < steps; t++) {
    const [gx, gy] = noise ? gradient(p[0], p[1], sign(), sign()) : gradient(p[0], p[1]);
    g[0] = gx;
    g[1] = gy;
    run.step();
    if (!Number.isFinite(p[0] + p[1])) break;
    path.push([p[0], p[1]]);
  }
  return path;
}

const height = (landscape, x, y) => PRINTED.landscapes[landscape].value(x, y, 0, 0);
