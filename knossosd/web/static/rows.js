// A list of which only the rows in view exist, however long it is.

import { make } from "./dom.js";

const SPARE = 8; // rows above and below the view, so that scrolling meets no gap
const HIGHEST = 15_000_000; // pixels; browsers lay out nothing that is much higher

export class Rows {
  #box;
  #runway = make("div", { class: "runway", role: "none" });
  #rem;
  #draw;
  #length = 0;
  #shown = new Map();

  // `box` is an element that scrolls. All rows are `rem` high. `draw(index, before)` gives the element of a row; `before`
  // is the one that it had, or undefined, and may be changed and given again.
  constructor(box, rem, draw) {
    this.#box = box;
    this.#rem = rem;
    this.#draw = draw;
    box.append(this.#runway);
    box.addEventListener("scroll", () => this.#fill(false), { passive: true });
    new ResizeObserver(() => this.#fill(false)).observe(box);
  }

  // Show this many rows, all of them drawn anew. Returns how many there are: no more than browsers can lay out.
  show(length) {
    this.#length = Math.min(length, Math.floor(HIGHEST / this.#height));
    this.#runway.style.height = `${this.#length * this.#height}px`;
    this.#fill(true);
    return this.#length;
  }

  // Scroll just so far that the row is in view.
  reveal(index) {
    const top = index * this.#height;
    const end = top + this.#height;
    if (top < this.#box.scrollTop) this.#box.scrollTop = top;
    else if (end > this.#box.scrollTop + this.#box.clientHeight) this.#box.scrollTop = end - this.#box.clientHeight;
    this.#fill(false);
  }

  // How many rows are in view at once.
  get inView() {
    return Math.max(1, Math.floor(this.#box.clientHeight / this.#height));
  }

  get #height() {
    return this.#rem * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  #fill(anew) {
    const height = this.#height;
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(0, Math.floor(scrollTop / height) - SPARE);
    const end = Math.min(this.#length, Math.ceil((scrollTop + clientHeight) / height) + SPARE);
    for (const [index, row] of this.#shown) {
      if (index >= first && index < end) continue;
      row.remove();
      this.#shown.delete(index);
    }
    // From the last to the first, so that each finds its place before the next: they are read out in this order.
    let next = null;
    for (let index = end - 1; index >= first; index -= 1) {
      const before = this.#shown.get(index);
      const row = before && !anew ? before : this.#draw(index, before);
      if (row !== before) before?.remove();
      if (row.parentNode !== this.#runway || row.nextSibling !== next) this.#runway.insertBefore(row, next);
      row.style.top = `${index * height}px`;
      this.#shown.set(index, row);
      next = row;
    }
  }
}
