// What the reader does: clicks, keys, the numbers of a claim, light and dark.

// Claims

// What the page carries packed, under an id.
function unpacked(id) {
  const packed = Uint8Array.from(atob($(id).textContent), c => c.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
}

async function saveCsv({dataset: {csv}}) {
  const url = URL.createObjectURL(await unpacked(csv).blob());
  Object.assign(document.createElement("a"), {href: url, download: `${csv}.csv`}).click();
  URL.revokeObjectURL(url);
}

// Put a figure in its place, which is empty until its claim is opened.
async function showFigure(place) {
  place.innerHTML ||= await unpacked(place.dataset.figure).text();
}

// Whether a figure has its own size, in which it is scrolled, or the width that there is.
function fullSize(claim) {
  const full = claim.querySelector("[data-figure]").classList.toggle("full");
  claim.querySelector("[data-full]").setAttribute("aria-pressed", full);
}

// Light and dark

const root = document.documentElement;

function setTheme(dark) {
  root.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "Light" : "Dark";  // what a click gives
}

// What was chosen in an earlier visit; a browser may keep nothing for a file.
function kept(theme) {
  try {
    if (theme) localStorage.setItem("theme", theme);
    return localStorage.getItem("theme");
  } catch {
    return theme;
  }
}

// Start

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
let waiting = 0;

function drawLab(controls = true) {
  if (controls) drawOnlineControls();
  drawVerdict();
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => {
    drawMap();
    drawMicroscope();
    playOnline();
  });
}

function drawAll() {
  drawLab();
  drawPlaneControls();
  drawPlane();
  drawProfiles();
}

function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => setTheme(kept() ? kept() === "dark" : dark.matches);
  follow();
  dark.addEventListener("change", follow);
  $("theme").addEventListener("click", () => {
    setTheme(root.dataset.theme === "light");
    kept(root.dataset.theme);
  });

  $("lab").addEventListener("input", ({target}) => {
    if (!target.dataset.key || !setFrom(target)) return;
    drawLab(target.tagName === "SELECT");
    writeAddress("lab");
  });
  $("lab").addEventListener("click", event => {
    if (takeAway(event.target)) {
      // one rule less
    } else if (event.target.closest("#map svg")) {
      const [a, b] = clicked(event, MAP_X, MAP_Y);
      state.beta1 = rounded(1 - 10 ** within(a, {low: -4, high: 0}), 4);
      state.beta2 = rounded(1 - 10 ** within(b, {low: -6, high: 0}), 6);
    } else return;
    drawLab();
    writeAddress("lab");
  });
  $("landscapes").addEventListener("input", ({target}) => {
    if (!target.dataset.key || !setFrom(target)) return;
    if (target.dataset.key === "landscape") state.from_x = state.from_y = null;
    if (target.tagName === "SELECT") drawPlaneControls();
    drawPlane();
    writeAddress("landscapes");
  });
  $("landscapes").addEventListener("click", ({target}) => {
    if (!takeAway(target)) return;
    drawPlaneControls();
    drawPlane();
    writeAddress("landscapes");
  });
  $("plane").tabIndex = 0;
  $("plane").addEventListener("click", event => {
    const point = clicked(event, ...planeAxes());
    if (point) startFrom(...point);
  });
  $("plane").addEventListener("keydown", event => {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const [right, up] = ARROWS[event.key], [x, y] = startOfPath(), [{low, high}] = planeAxes();
    startFrom(x + right * (high - low) / 40, y + up * (high - low) / 40);
  });
  for (const form of document.querySelectorAll("form"))
    form.addEventListener("submit", event => event.preventDefault());
  $("claims").addEventListener("click", ({target}) => {
    if (target.dataset.csv) saveCsv(target);
    if (target.closest("[data-full], [data-figure]")) fullSize(target.closest(".claim"));
    if (target.closest(".rest")) toggleNamed(target.closest(".rest").dataset.shown);
  });
  $("claims").addEventListener("change", ({target}) => {
    if (target.dataset.shown) toggleNamed(target.dataset.shown);
  });
  document.addEventListener("toggle", ({target}) => {
    const place = target.open && target.querySelector("[data-figure]");
    if (place) showFigure(place);
    if (target.id === "deeper") drawOnline();
    if (target.contains($("profiles"))) drawProfiles();
  }, true);  // it does not bubble
  for (const header of document.querySelectorAll("table.sortable thead th"))
    header.addEventListener("click", () => sortBy(header));
  $("search").addEventListener("input", ({target}) => search(target.value));
  addEventListener("hashchange", () => {
    if (readAddress()) drawAll();
    showNamed();
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const draw of [drawOnline, drawMap, drawMicroscope, drawPlane, drawProfiles]) draw();
  });
  readAddress();
  drawAll();
  showNamed();
}

start();
