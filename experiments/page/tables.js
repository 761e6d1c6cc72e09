// Tables: sorted by a column, and searched.

const NUMBER = /^[+-]?[\d,]*\.?\d+(e[+-]?\d+)?/i;

// Sort by the numbers that the cells of a column begin with, if they do, and else by their words;
// cells without either, such as "never" among numbers, stay last.
function sortBy(header) {
  const table = header.closest("table"), column = header.cellIndex;
  const up = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const text = row => row.cells[column].textContent.trim().replaceAll("−", "-");
  const number = row => Number(NUMBER.exec(text(row))?.[0].replaceAll(",", "") ?? NaN);
  const rows = [...table.tBodies[0].rows], withDigits = rows.filter(row => /\d/.test(text(row)));
  const numeric = withDigits.length && withDigits.every(row => !Number.isNaN(number(row)));
  const key = numeric ? number : text, {compare} = new Intl.Collator("en", {numeric: true});
  const blank = row => Number(numeric ? Number.isNaN(key(row)) : key(row) === "");
  const order = (a, b) => (numeric ? key(a) - key(b) : compare(key(a), key(b))) * (up ? 1 : -1);
  rows.sort((a, b) => blank(a) - blank(b) || (blank(a) ? 0 : order(a, b)));
  table.tBodies[0].append(...rows);
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/), rows = [...$("rule-table").tBodies[0].rows];
  const has = row => words.every(word => row.textContent.toLowerCase().includes(word));
  for (const row of rows) row.hidden = !has(row);
  const left = rows.filter(row => !row.hidden), found = new Set(left.map(row => row.dataset.rule));
  for (const page of document.querySelectorAll(".rule-page"))
    page.hidden = !found.has(page.dataset.rule);
  $("found").textContent = `${left.length} of ${rows.length} rules`;
}
