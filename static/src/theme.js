// Runs before the first paint, so that a chosen theme does not flash. Not a module: modules wait for the page.
(() => {
  const choice = localStorage.getItem("tg-theme");
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
