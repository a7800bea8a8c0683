// Asks for the API key once; this tab keeps it.

import { answerOf, Refused } from "./refusals.js";
import * as session from "./session.js";

const UNKNOWN = "This server does not know that API key, or it may not submit.";

// `form` has a field `key`; `kept`, which the page shows in its place when there is a key, has a button to use another.
// `given` is called when there is a new key.
export class SignIn {
  constructor({ form, kept, given }) {
    this.form = form;
    this.given = given;
    this.waiting = [];
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.tryKey(form.elements.key.value.trim());
    });
    kept.querySelector("button").addEventListener("click", () => {
      session.forgetKey();
      form.elements.key.focus();
    });
  }

  // Resolves once there is a key.
  key() {
    if (session.key()) return Promise.resolve(session.key());
    this.form.scrollIntoView({ block: "center" });
    this.form.elements.key.focus({ preventScroll: true });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  // Ask again.
  refuse(problem = UNKNOWN) {
    session.forgetKey();
    this.say(problem);
    this.form.elements.key.focus();
  }

  async tryKey(key) {
    const button = this.form.querySelector("button");
    button.disabled = true;
    this.say("");
    const problem = await problemOf(key);
    button.disabled = false;
    if (problem === UNKNOWN) return this.refuse();
    if (problem) return this.say(problem);
    session.keepKey(key);
    this.form.reset();
    for (const resolve of this.waiting.splice(0)) resolve(key);
    this.given();
  }

  say(text) {
    this.form.querySelector("[role=alert]").textContent = text;
  }
}

// Why the key cannot be used, null when it can.
async function problemOf(key) {
  const headers = { Authorization: `Bearer ${key}` };
  try {
    await answerOf(await fetch("/api/converter/check", { method: "POST", headers, credentials: "omit" }));
    return null;
  } catch (error) {
    if (!(error instanceof Refused)) return "The server cannot be reached. Please try again.";
    return error.status === 403 ? UNKNOWN : error.message;
  }
}
