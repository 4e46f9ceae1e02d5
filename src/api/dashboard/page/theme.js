// Light, dark, or as the system has it; set before anything is drawn. A classic script for that reason.
(() => {
  const KEY = "pointsman-theme";
  const NAMES = { auto: "Auto", light: "Light", dark: "Dark" };
  const ORDER = ["auto", "light", "dark"];
  const read = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return ORDER.includes(kept) ? kept : "auto";
    } catch {
      return "auto";
    }
  };
  const apply = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    const label = document.getElementById("theme-name");
    if (label) {
      label.textContent = NAMES[name];
      document.getElementById("theme").setAttribute("aria-label", `Colours: ${NAMES[name]}`);
    }
    window.dispatchEvent(new Event("themechange"));
  };
  apply(read());
  document.addEventListener("DOMContentLoaded", () => {
    apply(read());
    document.getElementById("theme").addEventListener("click", () => {
      const next = ORDER[(ORDER.indexOf(read()) + 1) % ORDER.length];
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // Without storage it holds until the page is left.
      }
      apply(next);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(read()));
  });
})();
