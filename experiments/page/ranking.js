// The tournament: performance profiles, and which of them are named.

const profiles = () => DATA.tournament?.profiles ?? {};
const named = () => (state.shown ?? "").split(";").filter(name => name in profiles()).slice(0, 6);

// A share that changes at each of the taus, as the corners of its curve.
function stairs(ys) {
  const {taus} = DATA.tournament, xs = taus.flatMap((tau, i) => i ? [tau, tau] : [tau]);
  return [xs, ys.flatMap((y, i) => i ? [ys[i - 1], y] : [y])];
}

// A curve without a name of its own, which a click gives it one; it is thin, so a wide one that is
// not seen takes the click.
const nameless = name => (X, Y) => {
  const [xs, ys] = stairs(profiles()[name]);
  const d = path(ys.map((y, i) => [X(xs[i]), Y(y)]));
  return `<g class="rest" data-shown="${escaped(name)}"><title>${escaped(name)}</title>
    <path d="${d}"/><path class="near" d="${d}"/></g>`;
};

const percent = share => `${Math.round(100 * share)} %`;

function drawProfiles() {
  if (!$("profiles")?.closest("details").open) return;  // there is none, or it is not seen
  const names = named(), rest = Object.keys(profiles()).filter(name => !names.includes(name));
  const at = (name, end) => percent(profiles()[name].at(end));
  figure("profiles", "Share of the problems solved in τ times the steps of the fastest", {
    height: 340, x: {low: 1, high: DATA.tournament.taus.at(-1), label: "τ"}, y: {low: 0, high: 1},
    layers: [
      ...rest.map(nameless),
      ...names.map((name, i) => curve(style(i), ...stairs(profiles()[name]))),
    ],
    ends: names.map((name, i) => [style(i), name, profiles()[name].at(-1)]),
    alt: names.map(name => `${name}: ${at(name, 0)} as the fastest, ${at(name, -1)} in the end`)
      .join("; ") || "no rule is chosen",
    caption: `The score is the mean height of a curve. Choose up to six rules in the table, or click
      a curve; a heading of the table sorts by its column.`,
  });
  for (const box of document.querySelectorAll("input[data-shown]")) {
    const place = names.indexOf(box.dataset.shown);
    box.checked = place >= 0;
    box.closest("tr").className = place >= 0 ? style(place) : "";
  }
}

// Name a rule in the figure, or no more; a seventh takes the place of the sixth.
function toggleNamed(name) {
  const names = named();
  const more = () => [...names.slice(0, 5), name];
  state.shown = (names.includes(name) ? names.filter(other => other !== name) : more()).join(";");
  drawProfiles();
  writeAddress("tournament");
}
