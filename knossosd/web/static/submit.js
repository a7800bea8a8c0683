// The page /converter.

import { make } from "./dom.js";
import * as session from "./session.js";
import { watch } from "./watch.js";

const form = document.querySelector("#submit");
const problems = document.querySelector("#problems");
const button = form.querySelector("button");

form.elements.passwd.value = session.key() || "";
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problems.replaceChildren();
  button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch("/api/converter/request", { method: "POST", body });
    if (response.status === 403) return show([{ path: "API key", message: "is not known here" }]);
    const answer = await response.json();
    if (answer.error) return show(answer.errors || [{ path: "", message: answer.message }]);
    session.keepKey(form.elements.passwd.value);
    session.keepToken(answer.ticket, answer.token);
    history.pushState(null, "", `/watch/${answer.ticket}`);
    form.hidden = true;
    const live = document.querySelector("#live");
    live.hidden = false;
    watch(live, answer);
  } catch (error) {
    show([{ path: "", message: `The server cannot be reached (${error.message}).` }]);
  } finally {
    button.disabled = false;
  }
});

// Back from the live view, whose address we gave to this page.
addEventListener("popstate", () => {
  if (form.hidden) location.reload();
});

function show(found) {
  const lines = found.map(({ path, message }) => make("li", {}, path ? `${path}: ${message}` : message));
  problems.replaceChildren(make("ul", {}, ...lines));
}
