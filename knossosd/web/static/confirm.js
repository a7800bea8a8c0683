// Asks before something is done that cannot be undone.

import { make } from "./dom.js";

// Resolves with whether somebody means it. `deed` is what the button says that does it.
export function confirm(question, explanation, deed) {
  const no = make("button", { class: "btn btn-outline-secondary", value: "no", autofocus: true }, "Leave it");
  const yes = make("button", { class: "btn btn-danger", value: "yes" }, deed);
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { id: "question" }, question),
    make("p", { id: "explanation" }, explanation),
    make("div", { class: "d-flex flex-wrap gap-2 justify-content-end" }, no, yes),
  );
  const dialog = make("dialog", { "aria-labelledby": "question", "aria-describedby": "explanation" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove(); // the browser gives the focus back to where it was
      resolve(dialog.returnValue === "yes");
    });
  });
}
