// How things stand: the tiles with numbers, and the processes that live.

import { Age } from "./clock.js";
import { make, say } from "./dom.js";
import { Roster } from "./roster.js";
import { brief, count, size } from "./figures.js";

const LATE = 10; // seconds; a sign of life comes every five

export class Tiles {
  constructor(list) {
    this.list = list;
  }

  // Let the tile `name` say the text, and `more` in smaller letters.
  tell(name, text, more = "") {
    const tile = this.list.querySelector(`[data-tile="${name}"]`);
    say(tile.querySelector("dd"), text);
    say(tile.querySelector(".more"), more || "\u00a0");
  }

  show({ waiting, oldest, working, dead, webhooks, processes, store, free }) {
    const workers = processes.filter((one) => one.kind === "worker").length;
    const watchers = processes.reduce((sum, one) => sum + one.watchers, 0);
    this.tell("waiting", count(waiting), waiting ? `the oldest for ${brief(Math.round(oldest))}` : "");
    this.tell("working", count(working), workers === 1 ? "1 worker" : `${count(workers)} workers`);
    this.tell("dead", count(dead), dead ? "the server's fault" : "");
    this.tell("webhooks", count(webhooks));
    this.tell("watchers", count(watchers));
    this.tell("store", store ? size(store.size) : "–", store ? `${count(store.contents)} contents` : "not known yet");
    this.tell("free", free === null ? "–" : size(free), free === null ? "the disk does not answer" : "");
  }
}

export const processes = (pane) =>
  new Roster(pane, { key: (item) => `${item.host} ${item.pid} ${item.since}`, row: processRow });

function processRow({ kind, host, pid }) {
  const since = new Age((text) => `up ${text}`);
  const task = make("span", { class: "state" });
  const sign = make("span");
  const element = make(
    "li",
    {},
    make("div", { class: "what" }, make("span", {}, `${kind} `, make("small", {}, `${pid} on ${host}`)), task),
    make("p", { class: "meta" }, since.element, sign),
  );
  const fill = (item) => {
    since.since(item.since);
    say(task, taskOf(item));
    say(sign, `sign of life ${brief(Math.round(item.silent))} ago`);
    element.classList.toggle("late", item.silent > LATE);
  };
  return { element, fill };
}

function taskOf({ kind, ticket, watchers }) {
  if (kind === "worker") return ticket === null ? "idle" : `ticket ${ticket}`;
  if (kind === "web") return watchers === 1 ? "1 watcher" : `${count(watchers)} watchers`;
  return "";
}
