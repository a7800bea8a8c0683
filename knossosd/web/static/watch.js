// The live view of one ticket: how far it is, what it says, and in the end what came of it.

import "./converter.js";
import { Archives } from "./archives.js";
import { Whole } from "./bars.js";
import { confirm } from "./confirm.js";
import { make } from "./dom.js";
import { Log } from "./log.js";
import * as session from "./session.js";
import { cancel, retrieve, statusOf } from "./ticket.js";

const SERVER = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
const LOOK = 3000; // milliseconds between two looks at the queue

// What only the end needs is loaded while the conversion runs.
const forTheEnd = () => Promise.all([import("./outcome.js"), import("./generated.js")]);

// Show the conversion `ticket` in `element`. With its `token`, which may be null, it can be cancelled, and the generated
// document is shown in the end; without, whoever has it is asked for it.
export function watch(element, { ticket, token }) {
  const view = new View(element, ticket, token);
  const watcher = new TaskWatcher(SERVER, ticket, true);
  watcher.captcha_ui(view.question);
  watcher.on("files", (files) => view.plan(files));
  watcher.on("progress", (fraction) => view.progress(fraction));
  watcher.on("file", (file) => view.archives.update(file));
  watcher.on("log_message", (line) => view.log.add(line));
  watcher.on("done", (success) => view.end(success));
  watcher.on("task_status", () => view.missing());
  watcher.on("connected", () => view.note(""));
  watcher.on("disconnected", (reason) => view.note(`${reason} Trying again …`));
  watcher.connect();
  view.waitInQueue();
  forTheEnd().catch(() => {}); // it is tried again in the end
}

class View {
  #ticket;
  #token;
  #stage = "waiting"; // then "working", then "ended"
  #name;
  #title = make("h2", {});
  #state = make("p", { class: "state", role: "status" }, "Connecting …");
  #note = make("p", { class: "part-note", role: "status" });
  #actions = make("div", { class: "actions" });
  #outcome = make("section", { id: "outcome", hidden: true });
  #toOutcome = button("Result ↓", () => {
    this.#outcome.scrollIntoView();
    this.#outcome.querySelector("h2").focus();
  });
  #tokenForm = this.#makeTokenForm();
  #whole;

  constructor(element, ticket, token) {
    this.#ticket = ticket;
    this.#token = token;
    const head = make("div", { class: "panel head-panel" }, this.#title, this.#state);
    const archives = make("section", {});
    const log = make("section", {});
    this.question = make("div", { class: "question", "aria-live": "polite" });
    this.#whole = new Whole(head);
    this.archives = new Archives(archives);
    this.log = new Log(log);
    head.append(make("div", { class: "head-foot" }, this.#actions, this.#note));
    element.classList.add("watch");
    element.replaceChildren(head, make("div", { class: "parts" }, archives, log), this.#outcome, this.question);
    this.#call("");
    this.#offer();
  }

  // Say the place in the queue, as long as there is one, and the mod's name.
  async waitInQueue() {
    while (this.#stage === "waiting") {
      const status = await statusOf(this.#ticket).catch(() => undefined); // the server comes back, or the event does
      if (status) this.#call(status.title);
      if (status?.state === "WORKING") this.#work();
      if (this.#stage !== "waiting" || status === null || status?.state === "DONE") return;
      if (status?.position) this.#say(placeInQueue(status.position));
      await new Promise((wake) => setTimeout(wake, LOOK));
    }
  }

  // These archives will be converted.
  plan(files) {
    this.#work();
    this.archives.plan(files);
  }

  // The fraction is done; updates of the archives that run follow.
  progress(fraction) {
    if (this.#stage === "ended") return;
    this.#work();
    const percent = this.#whole.progress(fraction, this.archives);
    this.archives.nextTurn();
    document.title = `${percent} % · ${this.#name} · knossosd`;
  }

  // The conversion has ended.
  async end(success) {
    this.#stage = "ended";
    this.archives.end(success);
    this.#whole.end(success);
    this.#say(success ? "Converted." : "The conversion failed.");
    document.title = `${success ? "Converted" : "Failed"} · ${this.#name} · knossosd`;
    const status = await statusOf(this.#ticket).catch(() => null);
    if (status) {
      this.#call(status.title);
      this.#whole.end(success, status.runtime);
    }
    await this.#showOutcome();
  }

  // There is no such ticket (any more).
  missing() {
    if (this.#stage === "ended") return;
    this.#stage = "ended";
    this.#say("There is no such conversion.");
    this.#actions.replaceChildren();
    this.note("Results are kept for a limited time only.");
  }

  // Say something about the connection or the last action.
  note(text) {
    this.#note.textContent = text;
  }

  #work() {
    if (this.#stage !== "waiting") return;
    this.#stage = "working";
    this.#say("Converting.");
  }

  #say(text) {
    if (this.#state.textContent !== text) this.#state.textContent = text; // what is said again would be read out again
  }

  #call(name) {
    this.#name = name || `Conversion ${this.#ticket}`;
    this.#title.textContent = this.#name;
  }

  // What may be done now. Somebody may be just typing the token: that form stays as it is.
  #offer() {
    const running = this.#stage !== "ended";
    if (this.#token) this.#actions.replaceChildren(...(running ? [button("Cancel", () => this.#cancel())] : []));
    else if (!this.#actions.contains(this.#tokenForm)) this.#actions.replaceChildren(this.#tokenForm);
  }

  async #cancel() {
    if (!(await confirm(`Cancel ${this.#name}?`, "Nothing of this conversion is kept.", "Cancel it"))) return;
    try {
      const answer = await cancel(this.#ticket, this.#token);
      if (!answer) this.#refuseToken();
      else if (!answer.cancelled) this.note("It had ended already.");
    } catch (error) {
      this.note(`It could not be cancelled: ${error.message}`);
    }
  }

  async #showOutcome() {
    let result, modules;
    try {
      result = this.#token && (await retrieve(this.#ticket, this.#token));
      modules = await forTheEnd();
    } catch (error) {
      this.note(`The result could not be fetched: ${error.message}`);
      this.#actions.replaceChildren(button("Try again", () => this.#showOutcome()));
      return;
    }
    const [{ showOutcome }, { buttonsOf }] = modules;
    this.note("");
    if (this.#token && !result) this.#refuseToken();
    if (result && !result.found) this.note("The result is gone: it was kept for a limited time only.");
    this.#offer();
    const mods = result?.json ? JSON.parse(result.json).mods : null;
    if (mods) this.#actions.replaceChildren(...buttonsOf(result.json, mods, (text) => this.note(text)));
    this.#actions.append(this.#toOutcome);
    this.#outcome.hidden = false;
    showOutcome(this.#outcome, {
      errors: result?.errors ?? this.#loggedAs("ERROR"),
      warnings: result?.warnings ?? this.#loggedAs("WARNING"),
      text: result?.json,
      mods,
    });
  }

  // Who has no token learns from the log what was wrong.
  #loggedAs(level) {
    return this.log.lines(level).map((message) => ({ message }));
  }

  #refuseToken() {
    this.#token = null;
    this.#offer();
    this.note("That is not the token of this conversion.");
  }

  #makeTokenForm() {
    const input = make("input", {
      id: "token", type: "password", class: "form-control form-control-sm", autocomplete: "off", required: true, "aria-label": "Token",
    });
    const form = make("form", {}, input, make("button", { class: "btn btn-sm btn-outline-secondary" }, "Use"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#token = input.value.trim();
      session.keepToken(this.#ticket, this.#token);
      this.note("");
      if (this.#stage === "ended") this.#showOutcome();
      else this.#offer();
    });
    return make("details", { class: "token" }, make("summary", {}, "Have the token?"), form);
  }
}

function placeInQueue(position) {
  return position === 1 ? "Waiting: next in the queue." : `Waiting: number ${position} in the queue.`;
}

function button(label, press) {
  return make("button", { type: "button", class: "btn btn-outline-secondary", onclick: press }, label);
}
