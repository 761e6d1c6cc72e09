// Settings: their names, ranges and scales, and the address that holds them.

const $ = id => document.getElementById(id);
const state = {...DATA.defaults};  // every setting by its name in the address
const own = name => /^(\w+)\.(.+)$/.exec(name);  // "LeakyAMSGrad.rho": a rule's own setting
const chosen = (list = "rules") =>
  state[list].split(",").filter(name => name in DATA.rules).slice(0, 6);
const place = (rule, name) => DATA.rules[rule]?.places.find(one => one.place === name);

// Scales of sliders, whose positions go from 0 to 1

const rounded = (v, digits = 3) => Number(v.toPrecision(digits));
const SCALES = {
  linear: ({low, high}) => [p => rounded(low + p * (high - low)), v => (v - low) / (high - low)],
  log: ({low, high}) => [
    p => rounded(low * (high / low) ** p),
    v => Math.log(v / low) / Math.log(high / low),
  ],
  log0: ({low, high}) => {  // with 0 at its left end
    const [to, from] = SCALES.log({low, high});
    return [p => p === 0 ? 0 : to(p), v => v === 0 ? 0 : from(v)];
  },
  beta: ({closed}) => [  // even in log(1 - v)
    p => p === 0 ? 0 : p === 1 && closed ? 1 : rounded(1 - rounded(10 ** (-6 * p), 2), 9),
    v => v >= 1 ? 1 : -Math.log10(1 - v) / 6,
  ],
};

// How a declared range is slid over; the number beside the slider takes all of it.
function slid({value, low, high, has_low, has_high, whole}) {
  if (whole) return {scale: "log", low: Math.max(low, 1), high: 1e6};
  if (low === 0 && high === 1) return {scale: "beta", closed: has_high};
  const middle = typeof value === "number" && value !== 0 ? Math.abs(value) : 0.01;
  if (low === 0) return {scale: has_low ? "log0" : "log", low: middle * 1e-4, high: middle * 1e4};
  return {scale: "linear", low: low ?? -5 * middle, high: high ?? 5 * middle};
}

// Every setting that is a number: its name, its declared range, and how it is slid over.
function described(key) {
  const [, rule, name] = own(key) ?? [];
  const ofRule = name === "rate" ? {...DATA.settings.rate, text: rule} : place(rule, name);
  const one = rule ? ofRule : DATA.settings[key];
  return one && {...one, slide: {...slid(one), ...one.slider}};
}

const scaleOf = ({slide}) => SCALES[slide.scale](slide);  // from a position, and to it
const ofAlpha = Object.keys(DATA.schedules)
  .filter(name => DATA.schedules[name].fields.some(one => one.alpha));

function allows({low, high, has_low, has_high, whole}, v) {
  const above = low === null || (has_low ? v >= low : v > low);
  const below = high === null || (has_high ? v <= high : v < high);
  return Number.isFinite(v) && above && below && (!whole || Number.isInteger(v));
}

// Settings and the address

const SECTIONS = {  // whose settings a name in the address is of
  lab: key => !SECTIONS.landscapes(key) && !SECTIONS.tournament(key),
  landscapes: key => DATA.plane.includes(key) || own(key)?.[2] === "rate",
  tournament: key => key === "shown",
};
const WORDS = {  // the settings that are no numbers: what they may be
  kind: v => v === "periodic" || v === "drawn",
  schedule: v => ofAlpha.includes(v),
  landscape: v => v in DATA.landscapes,
  rules: v => v.split(",").every(name => name in DATA.rules),
  plane_rules: v => WORDS.rules(v),
  focus: v => v in DATA.rules,
  shown: v => v === "" || v.split(";").every(name => name in profiles()),
};

const rangeOf = ({low, high, has_low, has_high}) =>
  `${has_low ? "[" : "("}${low ?? "−∞"}, ${high ?? "∞"}${has_high ? "]" : ")"}`;

// What a setting would be, or what is wrong with that: {v} or {wrong}.
function valueOf(key, text) {
  const one = described(key), named = `${key} = ${text || "blank"}`;
  if (key in WORDS ? WORDS[key](text) : one && text !== "" && allows(one, Number(text)))
    return {v: key in WORDS ? text : Number(text)};
  if (!one) return {wrong: key in WORDS ? `${named} is nothing known here` : `${key} is no setting`};
  return {wrong: `${named} is not a ${one.whole ? "whole number" : "number"} in ${rangeOf(one)}`};
}

// Take the settings from the address, and say whether it has any; those of its section that it does
// not name are the defaults, as are those that it has wrong, which it says.
function readAddress() {
  const [section, query] = location.hash.slice(1).split("?");
  const tell = text => $("address").textContent = text;
  if (query !== undefined && !(section in SECTIONS)) tell(`The address names no section: ${section}.`);
  if (query !== undefined && section in SECTIONS) {
    for (const key of Object.keys(state).filter(SECTIONS[section])) delete state[key];
    for (const [key, v] of Object.entries(DATA.defaults)) state[key] ??= v;
    const wrongs = [];
    for (const [key, text] of new URLSearchParams(query)) {
      const {v, wrong} = valueOf(key, text);
      if (wrong) wrongs.push(wrong);
      else state[key] = v;
    }
    tell(wrongs.length ? `In the address ${wrongs.join("; ")}: the default stays.` : "");
    if (!wrongs.length) writeAddress(section);
  } else if (section in SECTIONS && changed().length) {
    writeAddress(section);  // a link to a section says nothing of settings, which stay
  }
  return query !== undefined;
}

// Show what the address names, which is at its place once all is drawn.
function showNamed() {
  const named = $(location.hash.slice(1).split("?")[0]);
  const within = named?.closest("details");
  if (within) within.open = true;
  requestAnimationFrame(() => named?.scrollIntoView());
}

const changed = () => Object.entries(state).filter(([key, v]) => v !== DATA.defaults[key]);

// Of both sections, with the one to begin with.
function writeAddress(section) {
  history.replaceState(null, "", `#${section}?${new URLSearchParams(changed())}`);
}
