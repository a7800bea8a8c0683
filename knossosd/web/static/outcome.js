// What came of a conversion: what was found, what is wrong, the files as the player will have them, the document.

import { make } from "./dom.js";
import { count, counted, size } from "./figures.js";
import { findingsOf } from "./findings.js";
import { viewOf } from "./generated.js";
import { Tree } from "./tree.js";

// Show it in `element`. `errors` and `warnings` are as the API gives them; `text` is the generated document, and `mods`
// are those in it; without a document both are null.
export function showOutcome(element, { errors, warnings, text, mods }) {
  const parts = [findingsOf(errors, "error"), mods && contentsOf(mods), findingsOf(warnings, "warning")];
  const heading = make("h2", { tabindex: "-1" }, errors.length ? "What went wrong" : "What was found");
  element.replaceChildren(heading, ...parts.filter(Boolean));
  if (mods) {
    const tree = make("section", {}, make("h3", {}, "Files as the player will have them"));
    element.append(tree, viewOf(text));
    new Tree(tree, installed(mods));
  } else if (!errors.length) {
    element.append(make("p", {}, "The generated document is for whoever has the conversion's token."));
  }
}

// Every file with the path that it has for the player, below the folder of its mod.
function installed(mods) {
  return mods.flatMap((mod) => mod.packages.flatMap((one) => one.filelist.map(
    (file) => ({ path: `${mod.id}-${mod.version}/${file.filename}`, archive: file.archive }),
  )));
}

function contentsOf(mods) {
  return make("section", {}, ...mods.map((mod) => {
    const rows = mod.packages.map((one) => make(
      "tr", {},
      make("th", { scope: "row" }, one.name, " ", make("span", { class: "status" }, one.status)),
      make("td", {}, count(one.files.length)),
      make("td", {}, size(bytesOf(one))),
      make("td", {}, count(one.filelist.length)),
    ));
    const head = ["Package", "Archives", "Download", "Files"].map((name) => make("th", { scope: "col" }, name));
    return make(
      "div", { class: "found" },
      make("h3", {}, `${mod.title} ${mod.version}`), make("p", { class: "part-note" }, sumOf(mod)),
      make("table", { class: "table" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
    );
  }));
}

function sumOf({ packages }) {
  const files = packages.reduce((sum, one) => sum + one.filelist.length, 0);
  const bytes = packages.reduce((sum, one) => sum + bytesOf(one), 0);
  return [counted(packages.length, "package"), counted(files, "file"), `${size(bytes)} to download`].join(" · ");
}

function bytesOf({ files }) {
  return files.reduce((sum, file) => sum + file.filesize, 0);
}
