// The log: coloured by level, filtered by level and by words, and at its end until the reader scrolls away.

import { make } from "./dom.js";

const LEVELS = ["INFO", "WARNING", "ERROR"];
const NEAR = 8; // pixels from the end that still count as the end

export class Log {
  #box = make("div", { id: "cv-log", class: "log", role: "log", "aria-live": "off", "aria-label": "Log", tabindex: "0" });
  #toEnd = make("button", { type: "button", class: "to-end btn btn-sm btn-primary", hidden: true }, "↓ Newest");
  #words = "";
  #follows = true;
  #top = 0;
  #waiting = [];

  // Lines come quickly: a screen reader reads them when it is asked to, and hears of what matters elsewhere.
  constructor(element) {
    const level = make(
      "select", { class: "form-select form-select-sm", "aria-label": "Least level" },
      make("option", { value: "INFO" }, "All lines"),
      make("option", { value: "WARNING" }, "Warnings and errors"),
      make("option", { value: "ERROR" }, "Errors"),
    );
    const search = make("input", {
      type: "search", class: "form-control form-control-sm", placeholder: "Filter", "aria-label": "Only lines with",
    });
    element.append(
      make("div", { class: "part-head" }, make("h3", {}, "Log"), level, search),
      make("div", { class: "log-frame" }, this.#box, this.#toEnd),
    );
    level.addEventListener("change", () => this.#filtered(() => (this.#box.dataset.least = level.value)));
    search.addEventListener("input", () => this.#filtered(() => this.#search(search.value)));
    this.#box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#toEnd.addEventListener("click", () => this.#goToEnd());
    new ResizeObserver(() => this.#follows && this.#goToEnd()).observe(this.#box);
  }

  // Add a line "<LEVEL>: <message>". Thousands may come at once, and are written in one go.
  add(line) {
    if (this.#waiting.push(line) === 1) requestAnimationFrame(() => this.#write());
  }

  // The lines of a level, without its name.
  lines(level) {
    const texts = [...this.#box.children].map((line) => line.textContent).concat(this.#waiting);
    return texts.filter((text) => text.startsWith(`${level}: `)).map((text) => text.slice(level.length + 2));
  }

  #write() {
    const lines = this.#waiting.map((text) => {
      const level = LEVELS.find((one) => text.startsWith(`${one}:`)) ?? "INFO";
      return make("div", { class: level, hidden: !this.#matches(text) }, text);
    });
    this.#waiting = [];
    this.#box.append(...lines);
    if (this.#follows) this.#goToEnd();
  }

  #filtered(change) {
    const followed = this.#follows;
    change();
    if (followed) this.#goToEnd();
  }

  #search(words) {
    this.#words = words.trim().toLowerCase();
    for (const line of this.#box.children) line.hidden = !this.#matches(line.textContent);
  }

  #matches(text) {
    return text.toLowerCase().includes(this.#words);
  }

  #isAtEnd() {
    return this.#box.scrollTop + this.#box.clientHeight >= this.#box.scrollHeight - NEAR;
  }

  // Only the reader goes up and away from the end. Of a move to the end the browser tells later, when new lines or
  // longer ones may stand behind it.
  #scrolled() {
    const isUp = this.#box.scrollTop < this.#top;
    this.#top = this.#box.scrollTop;
    this.#follow(this.#isAtEnd() || (this.#follows && !isUp));
  }

  #goToEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
    this.#follow(true);
  }

  #follow(follows) {
    this.#follows = follows;
    this.#toEnd.hidden = follows;
  }
}
