// The tickets: those that are converted, those that wait, and those that have ended.

import { deed } from "./acting.js";
import { Age, now } from "./clock.js";
import { make, say } from "./dom.js";
import { Roster } from "./roster.js";
import { brief, count } from "./figures.js";

const byTicket = (item) => item.ticket;

export const running = (pane) => new Roster(pane, { key: byTicket, row: runningRow });
export const waiting = (pane) => new Roster(pane, { key: byTicket, row: waitingRow });
// A ticket that was tried again and ended again is another row.
export const ended = (pane) => new Roster(pane, { key: (item) => `${item.ticket} ${item.time}`, row: endedRow });

function runningRow({ ticket, title }) {
  const age = new Age((text) => `for ${text}`);
  const attempt = make("span");
  const bar = make("div", { class: "progress-bar" });
  const label = { role: "progressbar", "aria-label": `Progress of ${title}`, "aria-valuemin": 0, "aria-valuemax": 100 };
  const progress = make("div", { class: "progress", ...label }, bar);
  const percent = make("span", { class: "percent" });
  const files = make("p", { class: "files" });
  const element = make(
    "li",
    {},
    make("div", { class: "what" }, link(ticket, title), percent),
    progress,
    make("p", { class: "meta" }, age.element, attempt),
    files,
    make("div", { class: "acts" }, cancel(ticket, title)),
  );
  const fill = (item) => {
    const done = Math.floor(item.progress * 100);
    progress.setAttribute("aria-valuenow", done);
    bar.style.width = `${done}%`;
    say(percent, `${done} %`);
    say(files, item.text.split("\n").map((line) => line.trim()).filter(Boolean).join(", "));
    say(attempt, again(item.attempt));
    age.since(item.since);
  };
  return { element, fill };
}

function waitingRow({ ticket, title }) {
  const age = new Age((text) => `for ${text}`);
  const attempt = make("span");
  const element = make(
    "li",
    {},
    make("div", { class: "what" }, link(ticket, title)),
    make("p", { class: "meta" }, age.element, attempt),
    make("div", { class: "acts" }, cancel(ticket, title)),
  );
  const fill = (item) => {
    age.since(item.since);
    say(attempt, again(item.attempt + 1));
  };
  return { element, fill };
}

function endedRow({ ticket, title, time, runtime, until, success, dead, errors, error_count }) {
  const age = new Age((text) => `${text} ago`);
  const state = success ? "succeeded" : errors[0]?.code === "cancelled" ? "cancelled" : "failed";
  const name = link(ticket, title);
  const reasons = errors.map(reason);
  if (error_count > errors.length) reasons.push(`And ${count(error_count - errors.length)} more.`);
  const acts = make("div", { class: "acts" }, dead ? retry(ticket, title) : null, remove(ticket, title));
  const element = make(
    "li",
    { class: state },
    make("div", { class: "what" }, name, make("span", { class: "state" }, state)),
    make("p", { class: "meta" }, age.element, make("span", {}, runtime ? `took ${brief(runtime)}` : "")),
    make("ul", { class: "reasons" }, ...reasons.map((text) => make("li", {}, text))),
    acts,
  );
  const fill = () => {
    age.since(time);
    const isGone = now() > until;
    acts.hidden = isGone;
    name.toggleAttribute("href", !isGone);
    if (!isGone) name.href = address(ticket);
  };
  return { element, fill };
}

const address = (ticket) => `/watch/${ticket}`;
const link = (ticket, title) => make("a", { href: address(ticket), title: `Ticket ${ticket}` }, title);
const again = (attempt) => (attempt > 1 ? `attempt ${attempt}` : "");

function reason(error) {
  const place = [error.mod, error.package, error.file].filter(Boolean).join(" / ");
  const text = [error.message, error.hint].filter(Boolean).join(" ");
  return [place && `${place}: `, text, ` (${error.code})`].join("");
}

function cancel(ticket, title) {
  const explanation = "It ends as failed at once, and whoever submitted it is told.";
  return deed("Cancel", title, `/api/tasks/${ticket}/cancel`, [`Cancel ${title}?`, explanation, "Cancel it"]);
}

const retry = (ticket, title) => deed("Retry", title, `/api/tasks/${ticket}/retry`);

function remove(ticket, title) {
  const explanation = "Its result and its log are lost, and nobody can retrieve them any more.";
  return deed("Remove", title, `/api/tasks/${ticket}/remove`, [`Remove ${title}?`, explanation, "Remove it"]);
}
