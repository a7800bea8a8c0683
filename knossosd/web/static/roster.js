// A list whose rows stay the same elements as long as they stand for the same thing, and stay where they are while
// somebody is about to press a button in it, or to read: whatever happens to the other rows.

import { say } from "./dom.js";

export class Roster {
  // `pane` has a list that scrolls, a count, a heading, and what to say when there is nothing. `key` tells what an item
  // stands for, and `row` makes the row for it: its element, and `fill(item)`, which is called whenever there is news.
  constructor(pane, { key, row }) {
    Object.assign(this, { pane, key, row });
    this.scroll = pane.querySelector(".scroll");
    this.list = pane.querySelector(".rows");
    this.rows = new Map();
  }

  // `all` is how many there are; it may be more than are shown.
  show(items, all = items.length) {
    const letGo = this.hold();
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
    letGo();
  }

  drop(key, element) {
    if (element.contains(document.activeElement)) this.pane.querySelector("h2").focus({ preventScroll: true });
    element.remove();
    this.rows.delete(key);
  }

  // Remember where the row is that somebody points at, works in, or has scrolled to. Returns what brings it back there.
  hold() {
    const held =
      this.list.querySelector(":scope > :hover") ??
      this.list.querySelector(":scope > :focus-within") ??
      (this.scroll.scrollTop > 0 ? this.firstInView() : null);
    const before = held?.offsetTop;
    return () => {
      if (held?.isConnected) this.scroll.scrollTop += held.offsetTop - before;
    };
  }

  firstInView() {
    const top = this.scroll.getBoundingClientRect().top;
    return [...this.list.children].find((row) => row.getBoundingClientRect().bottom > top);
  }
}
