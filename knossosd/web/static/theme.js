// Light or dark by the system's wish, also when it changes. Not a module: it runs before anything is painted.
(() => {
  "use strict";

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", follow);
  follow();
})();
