// The page /tasks: what `/api/monitor` says, each section in its place.

import * as clock from "./clock.js";
import { deliveries } from "./deliveryrows.js";
import { say } from "./dom.js";
import { EventStream } from "./eventstream.js";
import { LastDay } from "./lastday.js";
import * as session from "./session.js";
import { processes, Tiles } from "./standing.js";
import { ended, running, waiting } from "./ticketrows.js";
import { count } from "./figures.js";

const UNKNOWN = "This server does not know that API key, or it is not good for the monitor.";
const CONNECTION = { connecting: "Connecting…", live: "Live", lost: "Connection lost, trying again…", denied: "" };

const find = (id) => document.getElementById(id);
const form = find("key");
const monitor = find("monitor");
const isOpen = monitor.dataset.open === "yes";
const panes = {
  tiles: new Tiles(find("tiles")),
  running: running(find("running")),
  queue: waiting(find("queue")),
  outcomes: ended(find("outcomes")),
  deliveries: deliveries(find("deliveries")),
  processes: processes(find("processes")),
  day: new LastDay({ throughput: find("throughput"), queue: find("depth"), durations: find("durations") }),
};
const told = { running: [], queue: [], outcomes: [], now: { working: 0, waiting: 0 } };
const stream = new EventStream("/api/monitor", { heard, became });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  session.keepKey(form.elements.key.value.trim());
  form.reset();
  begin();
});
find("signin").addEventListener("click", () => {
  ask();
  form.elements.key.focus();
});
find("signout").addEventListener("click", () => {
  session.forgetKey();
  location.reload(); // nothing stays that only the key let see
});
find("failures").addEventListener("change", showTickets);

if (isOpen || session.key()) begin();
else ask();

function begin() {
  show(monitor, true);
  show(form, false);
  say(form.querySelector("[role=alert]"), "");
  monitor.classList.toggle("operator", Boolean(session.key())); // until the server says so
  became("connecting");
  stream.open();
}

// Ask for a key, beside what an open monitor shows.
function ask() {
  show(monitor, isOpen);
  show(form, true);
}

// `reason` is what the server says, when the stream is lost although it answers.
function became(state, reason) {
  find("line").dataset.state = state;
  say(find("line"), reason ? `${reason} Trying again…` : CONNECTION[state]);
  monitor.classList.toggle("stale", state === "lost");
  if (state !== "denied") return;
  stream.close();
  ask();
  say(form.querySelector("[role=alert]"), session.key() ? UNKNOWN : "");
  if (session.key()) form.elements.key.focus();
}

function heard(name, value) {
  told[name] = value;
  const show = {
    you: ({ operator }) => monitor.classList.toggle("operator", operator),
    now: showStanding,
    running: showTickets,
    queue: showTickets,
    outcomes: showTickets,
    deliveries: (items) => panes.deliveries.show(items),
    day: showDay,
    trouble: (trouble) => (trouble ? became("lost", trouble) : became("live")),
  };
  show[name]?.(value);
}

function showStanding(standing) {
  clock.set(standing.time);
  panes.tiles.show(standing);
  panes.processes.show(standing.processes);
  showTickets();
}

function showTickets() {
  panes.running.show(told.running, told.now.working);
  panes.queue.show(told.queue, told.now.waiting);
  const isWanted = find("failures").checked ? (item) => !item.success : () => true;
  panes.outcomes.show(told.outcomes.filter(isWanted));
}

function showDay(day) {
  const { all, failed } = panes.day.show(day);
  panes.tiles.tell("day", count(all), failed ? `${count(failed)} failed` : "");
}

// The style sheet has decided by the key alone; from now on we know better.
function show(element, isShown) {
  element.classList.remove("with-key", "without-key");
  element.hidden = !isShown;
}
