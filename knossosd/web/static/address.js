// The address of what the page shows: one page may become another without being loaded anew.

let shown = location.pathname;

export function moveTo(path) {
  history.pushState(null, "", path);
  shown = path;
}

// Going back or forward leads to what another page shows.
addEventListener("popstate", () => {
  if (location.pathname !== shown) location.reload();
});
