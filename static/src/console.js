// Small behaviours that HTML cannot do by itself. The server draws everything.
import { startTheme } from "./theme_toggle.js";
import { startKeys } from "./keys.js";
import { startComposer } from "./composer.js";

const sheet = document.getElementById("sheet");
const sheetBody = document.getElementById("sheet-body");
let opener = null;

document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx.target === sheetBody) opener = document.activeElement;
});

// What a chip asked for is there: show it. Errors come as notices and are shown the same way.
document.addEventListener("htmx:after:swap", (event) => {
  if (sheet && event.detail.ctx.target === sheetBody && !sheet.open) sheet.showModal();
});

sheet?.addEventListener("close", () => {
  sheetBody.replaceChildren();
  opener?.focus?.();
});

// A click on the backdrop closes a dialog; the dialog itself is covered by its content.
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

// Other menus close when one looks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

startTheme();
startKeys();
startComposer();
