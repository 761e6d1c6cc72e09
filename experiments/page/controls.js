// The controls, and what they set.

const option = (v, text, now) =>
  `<option value="${v}"${v === now ? " selected" : ""}>${text}</option>`;

// A choice of [value, text] each.
function select(key, text, options, now = state[key]) {
  const all = options.map(([v, shown]) => option(v, shown, now)).join("");
  return `<label><span>${text}</span> <select data-key="${key}">${all}</select></label>`;
}

// A number and its slider; what it is now may be a schedule, which neither shows.
function slider(key, now = state[key]) {
  const one = described(key), [, from] = scaleOf(one);
  const known = typeof now === "number", named = `data-key="${key}"`;
  return `<label title="${escaped(one.meaning ?? "")}"><span>${one.text}</span>
    <input type="number" step="any" ${named} value="${known ? now : ""}"
      placeholder="${known ? "" : "schedule"}">
    <input type="range" min="0" max="1" step="0.002" ${named} value="${known ? from(now) : 0}"
      aria-label="${escaped(one.text)}, slider"
      aria-valuetext="${known ? now : "schedule"}"></label><p class="wrong" role="alert"></p>`;
}

const fieldset = (legend, ...parts) =>
  `<fieldset><legend>${legend}</legend>${parts.join("")}</fieldset>`;

// The rules of a list, each with what `settings(name)` says, a button that takes it away, and below
// them those that may be added.
function ruleControls(list, settings) {
  const names = chosen(list);
  const others = Object.keys(DATA.rules).filter(name => !names.includes(name));
  const row = (name, i) => `<div class="rule">
    <div><span class="swatch ${style(i)}"></span> ${settings(name)}</div>
    <button type="button" data-list="${list}" data-remove="${name}"
      aria-label="Take ${name} away">×</button></div>`;
  const more = [["", "…"], ...others.map(name => [name, name])];
  return [...names.map(row), names.length < 6 ? select(`add to ${list}`, "add", more, "") : ""];
}

function ownSettings(name) {
  const now = given(name);
  const rows = DATA.rules[name].places
    .map(one => slider(`${name}.${one.place}`, now[one.place] ?? one.value));
  return `<details data-rule="${name}"><summary>${name}</summary>${rows.join("")}
    <p class="note">What you set here holds for ${name} alone, at every step.
    <a href="#rule-${name}">What it does</a></p></details>`;
}

function scheduleControls() {
  const {does, fields} = DATA.schedules[state.schedule];
  const alpha = fields.filter(one => one.alpha).map(one => one.field).join(" and ");
  return [slider("lr"), select("schedule", "α<sub>t</sub>", ofAlpha.map(n => [n, n])),
    `<p class="note">${escaped(does)} α is its ${escaped(alpha)}.</p>`,
    ...fields.filter(one => !one.alpha).map(one => slider(one.key))];
}

// Put controls into a form, and leave open what was open, and the focus where it was.
function fill(id, ...parts) {
  const form = $(id), active = document.activeElement;
  const focused = form.contains(active) && active.dataset.key;
  const open = [...form.querySelectorAll("details[open]")].map(details => details.dataset.rule);
  form.innerHTML = parts.join("");
  for (const details of form.querySelectorAll("details"))
    details.open = open.includes(details.dataset.rule);
  if (focused) form.querySelector(`select[data-key="${focused}"]`)?.focus();
}

function drawOnlineControls() {
  const kinds = [["periodic", "periodic"], ["drawn", "at random"]];
  const spikes = state.kind === "drawn" ? ["probability", "seed"] : ["period", "spike"];
  const problem = ["large", "small", ...spikes, "x1", "steps"];
  fill("memory-form", fieldset("Drag the memory of v:", slider("beta2")));
  fill("online-form",
    fieldset("Rules, up to six", ...ruleControls("rules", ownSettings)),
    fieldset("Under the microscope",
      select("focus", "rule", chosen().map(name => [name, name]), focus())),
    fieldset("Momentum and step size", slider("beta1"), ...scheduleControls()),
    fieldset("Problem", select("kind", "spikes", kinds), ...problem.map(key => slider(key))));
}

function drawPlaneControls() {
  const titles = Object.entries(DATA.landscapes).map(([name, {title}]) => [name, title]);
  const [x, y] = startOfPath(), rate = name => slider(`${name}.rate`, rateOf(name));
  fill("plane-form", fieldset("Landscape",
    select("landscape", "function", titles),
    `<p class="note">${escaped(landscape().formula)}</p>`,
    slider("from_x", x), slider("from_y", y), slider("path_steps")));
  fill("plane-rules-form",
    fieldset("Rules, up to six, and their rates", ...ruleControls("plane_rules", rate)));
}

// Take what a control was set to, and say whether it is in range.
function setFrom(control) {
  const {key} = control.dataset, one = described(key);
  if (key.startsWith("add to ")) {
    const list = key.slice("add to ".length);
    state[list] = [...chosen(list), control.value].join(",");
  } else if (!one) {
    state[key] = control.value;
  } else {
    const [to] = scaleOf(one), slid = control.type === "range";
    const number = slid ? to(Number(control.value)) : Number(control.value);
    const v = slid && one.whole ? Math.round(number) : number;
    const {wrong} = valueOf(key, control.value === "" ? "" : String(v));
    const stays = typeof state[key] === "number" ? `; ${state[key]} stays` : "";
    const said = wrong ? `${wrong.replace(key, one.text)}${stays}.` : "";
    control.setCustomValidity(said);
    control.closest("label").nextElementSibling.textContent = said;
    for (const each of control.closest("label").querySelectorAll("input"))
      each.setAttribute("aria-invalid", Boolean(wrong));
    if (wrong) return false;
    state[key] = v;
    showValue(control, one);
  }
  return true;
}

// Whether a button was one that takes a rule away; the last one stays.
function takeAway({dataset: {list, remove}}) {
  if (remove) state[list] = chosen(list).filter(name => name !== remove).join() || remove;
  return Boolean(remove);
}

// The number and the slider of a setting, at what it is now.
function showValue(control, one) {
  const key = control.dataset.key, [, from] = scaleOf(one);
  for (const other of control.form.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)) {
    if (other !== control) other.value = other.type === "range" ? from(state[key]) : state[key];
    if (other.type === "range") other.setAttribute("aria-valuetext", state[key]);
  }
}
