// A list whose rows stay the same elements as long as they stand for the same thing: who is about to press a button, or
// to read a row, is not disturbed by what happens to the others.

import { say } from "./dom.js";

// `pane` has a list, a count, a heading and what to say when there is nothing. `key` tells what an item stands for, and
// `row` makes the row for it: its element, and `fill(item)`, which is called whenever the item is new.
export class Roster {
  constructor(pane, { key, row }) {
    Object.assign(this, { key, row, pane });
    this.list = pane.querySelector(".rows");
    this.rows = new Map();
  }

  // `all` is how many there are; it may be more than are shown.
  show(items, all = items.length) {
    const focused = document.activeElement;
    const wanted = new Map(items.map((item) => [this.key(item), item]));
    for (const [key, { element }] of this.rows) if (!wanted.has(key)) this.drop(key, element);
    let place = this.list.firstElementChild;
    for (const [key, item] of wanted) {
      if (!this.rows.has(key)) this.rows.set(key, this.row(item));
      const { element, fill } = this.rows.get(key);
      fill(item);
      if (element === place) place = place.nextElementSibling;
      else this.list.insertBefore(element, place);
    }
    if (focused.isConnected) focused.focus({ preventScroll: true }); // what moves loses it
    say(this.pane.querySelector(".count"), Math.max(all, items.length) || "");
    this.pane.querySelector(".empty").hidden = items.length > 0;
  }

  drop(key, element) {
    if (element.contains(document.activeElement)) this.pane.querySelector("h2").focus({ preventScroll: true });
    element.remove();
    this.rows.delete(key);
  }
}
