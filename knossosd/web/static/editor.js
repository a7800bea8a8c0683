// The document as text, and what is wrong with it: by the published schema at once, by the server when it is at rest.

import { make } from "./dom.js";
import { count, counted } from "./figures.js";
import { placeOf, position, read, Unreadable } from "./reading.js";
import { answerOf, Refused } from "./refusals.js";
import { key, withKey } from "./session.js";

const REST = 500; // milliseconds without a change
const MOST = 50; // problems that are shown
const FINE = "The schema finds nothing wrong.";
const NO_KEY = `${FINE} The server looks closer once it knows your API key.`;
const NO_ANSWER = "The server does not answer just now.";

// `area` is the text, `list` shows the problems, `status` says how many there are. `changed` is called with what the
// text stands for, undefined when it is no JSON, and with the problems.
export class Editor {
  constructor({ area, list, status, schema, changed }) {
    Object.assign(this, { area, list, status, schema, changed });
    this.repo = undefined;
    this.places = new Map();
    area.addEventListener("input", () => this.check());
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.check();
  }

  // Let the text stand for another document.
  write(repo) {
    this.text = `${JSON.stringify(repo, null, 2)}\n`;
  }

  check() {
    clearTimeout(this.resting);
    this.asking?.abort();
    if (!this.text.trim()) return this.nothing();
    const problems = this.problems();
    this.show(problems, []);
    if (problems.length) return this.say(counted(problems.length, "problem"));
    if (!key()) return this.say(NO_KEY, true);
    this.say("Checking …", true);
    this.resting = setTimeout(() => this.ask(), REST);
  }

  problems() {
    this.repo = undefined;
    try {
      const { value, places } = read(this.text);
      [this.repo, this.places] = [value, places];
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return [{ path: "", message: error.message, offset: error.offset }];
    }
    return this.schema.check(this.repo);
  }

  nothing() {
    this.repo = undefined;
    this.show([], []);
    this.say("");
  }

  // The rules that no schema can tell are the server's; it answers only who has a key. Whatever it does not say now,
  // submitting will tell.
  async ask() {
    this.asking = new AbortController();
    const { signal } = this.asking;
    const body = new URLSearchParams({ data: this.text });
    try {
      const answer = await answerOf(await fetch("/api/converter/check", { method: "POST", body, signal, ...withKey() }));
      if (!signal.aborted) this.judge(answer);
    } catch (error) {
      if (signal.aborted) return; // it was typed on meanwhile
      this.say(`${FINE} ${error instanceof Refused && error.status !== 403 ? error.message : NO_ANSWER}`, true);
    }
  }

  // Show what the server says of the text.
  judge({ errors, warnings = [] }) {
    this.show(errors, warnings);
    const mind = warnings.length ? `, but mind the ${counted(warnings.length, "warning")}` : "";
    if (errors.length) this.say(counted(errors.length, "problem"));
    else this.say(`Nothing is wrong with it${mind}.`, true);
  }

  say(text, isFine = false) {
    this.status.textContent = text;
    this.status.classList.toggle("fine", isFine);
  }

  // Show problems, { path, message }, and warnings, which the server writes as findings.
  show(problems, warnings) {
    const items = [
      ...problems.slice(0, MOST).map((problem) => this.item(problem, "ERROR")),
      ...warnings.slice(0, MOST).map(({ message, hint }) => this.item(this.located(message, hint), "WARNING")),
    ];
    const more = problems.length - MOST;
    if (more > 0) items.push(make("li", {}, `… and ${count(more)} more`));
    this.list.replaceChildren(...items);
    this.area.setAttribute("aria-invalid", problems.length > 0);
    this.changed(this.repo, problems);
  }

  // A warning of the server begins with the path that it is about, if it is about one.
  located(message, hint) {
    const [path] = message.split(" ", 1);
    const text = hint ? `${message} ${hint}` : message;
    return this.places.has(path) ? { path, message: text.slice(path.length + 1) } : { path: "", message: text };
  }

  item({ path, message, offset }, level) {
    const [start, end] = offset === undefined ? placeOf(this.places, path) : [offset, offset + 1];
    const { line, column } = position(this.text, start);
    const go = () => {
      this.area.focus();
      this.area.setSelectionRange(start, end);
      this.area.scrollTop = (line - 4) * parseFloat(getComputedStyle(this.area).lineHeight);
    };
    const field = path && this.schema.field(path);
    const described = { href: `/docs/document#${field}`, target: "_blank", rel: "noopener" };
    return make(
      "li", { class: level },
      make("button", { type: "button", class: "place", onclick: go, title: `Column ${column}` }, `Line ${line}`),
      make("span", {}, path && make("code", {}, path), path ? " " : "", message),
      field && make("a", described, `about ${field.split(".").pop()}`),
    );
  }
}
