// What has to be known before anything is painted, so that nothing jumps. Not a module: those run later.
(() => {
  "use strict";

  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", follow);
  follow();
  root.toggleAttribute("data-key", Boolean(sessionStorage.getItem("knossosd-key")));
  const height = Number(sessionStorage.getItem("knossosd-form-height"));
  if (sessionStorage.getItem("knossosd-document") && height) {
    root.setAttribute("data-draft", "");
    root.style.setProperty("--form-height", `${height}px`);
  }
})();
