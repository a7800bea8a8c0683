// Bars, and the one for the whole, with what it says below itself.

import { make } from "./dom.js";
import { count, counted, duration, size } from "./figures.js";
import { Pace } from "./pace.js";

// The bar for the whole. `element` gets it and a line of figures.
export class Whole {
  #bar = progressbar("Conversion");
  #figures = make("p", { id: "cv-pg-display", class: "figures" }, "\u00a0");
  #pace = new Pace();
  #next = 0;

  constructor(element) {
    this.#bar.id = "cv-pg-bar";
    element.append(make("div", { class: "progress whole" }, this.#bar), this.#figures);
  }

  // `fraction` is done; the archives, whose news is still on its way, say the rest. What is not over is never full: returns
  // how many percent are shown.
  progress(fraction, archives) {
    this.#pace.note(fraction, performance.now() / 1000);
    const percent = Math.min(99, Math.floor(fraction * 100));
    fill(this.#bar, percent);
    cancelAnimationFrame(this.#next);
    this.#next = requestAnimationFrame(() => {
      const left = this.#pace.left;
      this.#say([
        `${percent} %`,
        archives.count && `${count(archives.ended)} of ${counted(archives.count, "archive")}`,
        archives.rate && `${size(archives.rate)}/s`,
        left !== null && `about ${duration(left)} left`,
      ]);
    });
    return percent;
  }

  // The conversion has ended, after `runtime` seconds, if that is known.
  end(success, runtime) {
    cancelAnimationFrame(this.#next);
    if (success) fill(this.#bar, 100);
    this.#bar.classList.add(success ? "progress-bar-success" : "progress-bar-danger");
    this.#say([success ? "Done" : "Failed", runtime != null && `after ${duration(runtime)}`]);
  }

  #say(parts) {
    this.#figures.textContent = parts.filter(Boolean).join(" · ");
  }
}

// A bar to put into a `.progress`; `label` is what it is called.
export function progressbar(label) {
  return make("div", {
    class: "progress-bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0,
  });
}

// Let the bar be this full.
export function fill(bar, percent) {
  bar.style.width = `${percent}%`;
  bar.setAttribute("aria-valuenow", percent);
}
