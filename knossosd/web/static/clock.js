// The server's clock, and ages that grow by themselves.

import { make, say } from "./dom.js";
import { brief } from "./figures.js";

let ahead = 0;

// Epoch seconds.
export const now = () => Date.now() / 1000 + ahead;
export const set = (time) => (ahead = time - Date.now() / 1000);

// An element that says how long ago something was; `around` makes a phrase of it.
export class Age {
  constructor(around = (age) => age) {
    this.around = around;
    this.element = make("time");
  }

  since(time) {
    this.element.dateTime = new Date(time * 1000).toISOString();
    this.element.title = new Date(time * 1000).toLocaleString();
    const tell = () => say(this.element, this.around(brief(Math.max(0, Math.round(now() - time)))));
    ages.set(this.element, tell);
    tell();
  }
}

const ages = new Map();

setInterval(() => {
  for (const [element, tell] of ages) {
    if (element.isConnected) tell();
    else ages.delete(element);
  }
}, 1000);
