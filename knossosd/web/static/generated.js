// The generated document: to look at, to copy and to take along.

import { make } from "./dom.js";
import { count, counted } from "./figures.js";
import { Rows } from "./rows.js";

const LINE = 1.25; // rem

// What copies and what saves the document `text`. `said` tells how the copying went.
export function buttonsOf(text, mods, said) {
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const save = make("a", { class: "btn btn-primary", href, download: nameOf(mods) }, "Download");
  const copy = make("button", { type: "button", class: "btn btn-outline-secondary" }, "Copy");
  copy.addEventListener("click", async () => said((await copied(text)) ? "Copied." : "The browser does not let us copy."));
  return [save, copy];
}

// The document to look at, unfolded when somebody wants it: it may have hundreds of thousands of lines.
export function viewOf(text) {
  const box = make("div", { class: "source", tabindex: "0", role: "region", "aria-label": "Generated document" });
  const note = make("p", { class: "part-note" });
  const view = make("details", { class: "generated" }, make("summary", {}, "Generated document"), note, box);
  view.addEventListener("toggle", () => {
    const lines = JSON.stringify(JSON.parse(text), null, 2).split("\n");
    const rows = new Rows(box, LINE, (index, before) => before ?? make("div", { class: "line" }, lines[index]));
    const shown = rows.show(lines.length);
    const all = counted(lines.length, "line");
    note.textContent = shown < lines.length ? `The first ${count(shown)} of ${all}` : all;
  }, { once: true });
  return view;
}

function nameOf(mods) {
  return mods.length === 1 ? `${mods[0].id}-${mods[0].version}.json` : "generated.json";
}

// Whether the text is in the clipboard now. Browsers offer the modern way on secure pages only.
async function copied(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const area = make("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
