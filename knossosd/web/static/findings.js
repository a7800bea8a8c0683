// Errors and warnings, each with what to do about it and its place.

import { make } from "./dom.js";
import { count, counted } from "./figures.js";

const FIRST = 50; // more are shown to whoever asks

// A section of `findings`, which are as the API gives them; `noun` is "error" or "warning". Null when there are none.
export function findingsOf(findings, noun) {
  if (!findings.length) return null;
  const list = make("ul", { class: `findings ${noun}s` });
  const section = make("section", {}, make("h3", {}, counted(findings.length, noun)), list);
  const show = (some) => list.append(...some.map(item));
  show(findings.slice(0, FIRST));
  if (findings.length > FIRST) {
    const more = make("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, `Show all ${count(findings.length)}`);
    more.addEventListener("click", () => {
      show(findings.slice(FIRST));
      more.remove();
    });
    section.append(more);
  }
  return section;
}

function item({ message, hint, mod, package: name, file, code }) {
  const place = [mod, name, file].filter(Boolean).join(" > ");
  return make(
    "li", {},
    place ? make("p", { class: "where" }, place) : null,
    make("p", { class: "message" }, message),
    hint ? make("p", { class: "hint" }, hint) : null,
    code ? make("code", { title: "The name of this finding, for searching" }, code) : null,
  );
}
