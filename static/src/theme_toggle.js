// As the system, light, dark, and round again.
const ORDER = ["auto", "light", "dark"];
const NAMES = { auto: "as the system", light: "light", dark: "dark" };

export function startTheme() {
  const button = document.getElementById("theme-toggle");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("tg-theme") ?? "auto";

  const apply = () => {
    const choice = chosen();
    document.documentElement.classList.toggle("dark", choice === "dark" || (choice === "auto" && system.matches));
    if (!button) return;
    button.setAttribute("aria-label", `Colours: ${NAMES[choice]}`);
    button.title = `Colours: ${NAMES[choice]}`;
    for (const icon of button.querySelectorAll("[data-theme-icon]")) icon.hidden = icon.dataset.themeIcon !== choice;
  };

  button?.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
    if (next === "auto") localStorage.removeItem("tg-theme");
    else localStorage.setItem("tg-theme", next);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
