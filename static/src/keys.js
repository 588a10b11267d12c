// Single-key shortcuts: off while somebody types, and off altogether if he says so (WCAG 2.1.4).
const ROWS = "[data-rows] tbody tr, [data-rows] > .inbox-item";

export function startKeys() {
  const sheet = document.getElementById("keys");
  const box = document.getElementById("keys-on");
  if (!sheet) return;
  box.checked = localStorage.getItem("tg-keys") !== "off";
  box.addEventListener("change", () => localStorage.setItem("tg-keys", box.checked ? "on" : "off"));
  document.getElementById("keys-open").addEventListener("click", () => sheet.showModal());

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return stepBack();
    if (!box.checked || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const act = ACTS[event.key];
    if (act?.(sheet)) event.preventDefault();
  });
}

const ACTS = {
  "?": (sheet) => (sheet.showModal(), true),
  "/": () => focus(document.getElementById("search") ?? document.getElementById("message")),
  j: () => move(1),
  k: () => move(-1),
  a: () => click('[data-verdict="approve"]'),
  d: () => click('[data-verdict="refuse"]'),
};

function isTyping(element) {
  return element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
}

function stepBack() {
  const open = document.querySelector("[data-verdict-form] [data-cancel]");
  if (open && !document.querySelector("dialog[open]")) open.click();
}

function focus(element) {
  element?.focus();
  return Boolean(element);
}

function rowOf(element) {
  return element?.closest?.(ROWS.split(", ").join(","));
}

function move(step) {
  const rows = [...document.querySelectorAll(ROWS)];
  if (!rows.length) return false;
  const at = rows.indexOf(rowOf(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  return focus(next.querySelector(".row-link, a, button"));
}

// The card that has the focus, or the only one there is: a key never picks among several.
function click(selector) {
  const here = document.activeElement?.closest?.("[data-card], .inbox-item")?.querySelector(selector);
  const all = document.querySelectorAll(selector);
  const button = here ?? (all.length === 1 ? all[0] : null);
  button?.click();
  return Boolean(button);
}

// The second step of a verdict gets the focus, so that Enter confirms what has just been read.
document.addEventListener("htmx:after:swap", (event) => {
  const form = event.detail.ctx.target?.querySelector?.("[data-verdict-form]");
  form?.querySelector("textarea, [data-confirm]")?.focus();
});
