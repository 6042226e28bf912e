"use strict";

// Tables: a click or a key on a head sorts the rows by that column, a second one the other way round.
function key(body, column) {
  const text = body.rows[0].cells[column].textContent.trim();
  const number = parseFloat(text.replace(/^[<>=\s]+/, "").replace(/^(-?)inf$/, "$1Infinity"));
  return { text, number };
}

function compare(a, b) {
  if (a.text === "" || b.text === "") return (a.text === "") - (b.text === ""); // empty cells last
  if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return a.number - b.number;
  return a.text.localeCompare(b.text, "en", { numeric: true });
}

function sort(table, heads, column) {
  const down = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies].map((body) => ({ body, key: key(body, column) }));
  rows.sort((a, b) => {
    const order = compare(a.key, b.key);
    return down && a.key.text !== "" && b.key.text !== "" ? -order : order;
  });
  rows.forEach(({ body }) => table.append(body));
}

for (const table of document.querySelectorAll("table.wide")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.tagName !== "TH") return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, heads, column));
    head.append(button);
  });
}

// Tags: what a statement says, beside it while the pointer or the focus is on it; Escape hides it.
const tip = document.createElement("div");
tip.id = "tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.body.append(tip);
let shown = null;

function show(tag) {
  const said = document.getElementById(tag.hash.slice(1)).nextElementSibling;
  tip.textContent = said.textContent;
  tip.hidden = false;
  shown = tag;
  const at = tag.getBoundingClientRect();
  const left = Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = at.bottom + tip.offsetHeight + 4 < window.innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${below ? at.bottom : at.top - tip.offsetHeight}px`;
}

function hide() {
  tip.hidden = true;
  shown = null;
}

const tagOf = (event) => (event.target.closest ? event.target.closest("a.tag") : null);
for (const kind of ["mouseover", "focusin"]) {
  document.addEventListener(kind, (event) => tagOf(event) && show(tagOf(event)));
}
document.addEventListener("mouseout", (event) => {
  if (tagOf(event) && event.relatedTarget !== tip) hide();
});
tip.addEventListener("mouseleave", hide);
document.addEventListener("focusout", hide);
// The keyboard scrolls to the tag that it reaches: the words move with it.
document.addEventListener("scroll", () => shown && show(shown), { passive: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());

// Paper has no summaries to open.
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
