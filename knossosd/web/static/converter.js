// The embeddable client: shows a conversion live on any page, with or without jQuery and Bootstrap.
//
//   const watcher = new TaskWatcher("wss://host", ticket, false);
//   watcher.on("done", (success) => …);
//   watcher.bootstrap_ui("#container");
//   watcher.connect();
//
// It comes back by itself when the connection breaks or the machine has slept, and asks for what it has missed.
// `converter.d.ts` has the types, and the page /docs/embed an example that runs.
(() => {
  "use strict";

  const FIRST_PAUSE = 500;
  const LONGEST_PAUSE = 15_000;
  const LOOK = 10_000; // between two looks at the clock
  const ASLEEP = 150_000; // hidden pages may look once a minute; who looks less often has slept
  const AWAY = 60_000; // a page that was hidden for so long may have lost its connection without hearing of it

  const LOST = "The connection is lost.";
  const REFUSED = "The server lets nobody else watch from here just now.";

  class TaskWatcher {
    #url;
    #health;
    #interactive;
    #callbacks = new Map();
    #socket = null;
    #lastId = null;
    #unkept = null;
    #ended = false;
    #pause = FIRST_PAUSE;
    #retry = 0;
    #stopCaring = () => {};

    // `server` is a ws:// or wss:// address; only an `interactive` watcher may answer captchas.
    constructor(server, ticket, interactive) {
      const base = server.replace(/\/+$/, "");
      this.#url = `${base}/ws/${interactive ? "inter" : "watcher"}/${ticket}`;
      this.#health = `${base.replace(/^ws/, "http")}/healthz`;
      this.#interactive = Boolean(interactive);
    }

    // Call `callback` with the arguments of every event of this name.
    on(event, callback) {
      if (!this.#callbacks.has(event)) this.#callbacks.set(event, []);
      this.#callbacks.get(event).push(callback);
      return this;
    }

    // Call the callbacks of an event, as if the server had sent it. What came from the server goes this way, too. One
    // that fails does not keep the event from the others.
    trigger(event, ...args) {
      for (const callback of this.#callbacks.get(event) || []) {
        try {
          callback(...args);
        } catch (error) {
          reportError(error);
        }
      }
    }

    // Tell the server something; only on an interactive connection.
    emit(event, ...args) {
      if (!this.#interactive) throw new Error("This connection is read-only!");
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify([event, args]));
    }

    // Begin to watch, until the conversion has ended.
    connect() {
      this.#stopCaring();
      this.#ended = false;
      this.#stopCaring = whenItMayBeLost(() => this.#open());
      this.#open();
    }

    // Stop watching.
    disconnect() {
      this.#ended = true;
      this.#stopCaring();
      this.#drop();
    }

    #open() {
      this.#drop();
      const after = this.#lastId ? `?after=${encodeURIComponent(this.#lastId)}` : "";
      const socket = new WebSocket(this.#url + after);
      this.#socket = socket;
      let wasOpen = false;
      socket.onopen = () => {
        wasOpen = true;
        this.#pause = FIRST_PAUSE;
        if (this.#interactive) this.emit("user_ready");
        this.trigger("connected");
      };
      socket.onmessage = (message) => this.#receive(message.data);
      socket.onclose = () => {
        if (this.#ended) return this.#stopCaring();
        if (wasOpen) this.trigger("disconnected", LOST);
        else this.#tellWhy(socket);
        this.#retry = setTimeout(() => this.#open(), this.#pause * (0.5 + Math.random()));
        this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
      };
    }

    // Tell why the connection was not made. Browsers keep that to themselves; but they tell whether anybody answers.
    async #tellWhy(socket) {
      const answer = fetch(this.#health, { mode: "no-cors", cache: "no-store", credentials: "omit" });
      const reason = await answer.then(() => REFUSED, () => LOST);
      if (this.#socket === socket) this.trigger("disconnected", reason);
    }

    // Forget the connection and the plan for the next one: what still comes on it will come again.
    #drop() {
      clearTimeout(this.#retry);
      if (!this.#socket) return;
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }

    #receive(text) {
      let message;
      try {
        message = JSON.parse(text);
      } catch {
        return;
      }
      const [event, args, id] = message;
      if (id) this.#lastId = id;
      else if (event === "log_message") {
        if (args[0] === this.#unkept) return; // said anew on every connection
        this.#unkept = args[0];
      }
      if (event === "done" || (event === "task_status" && args[0] === "missing")) this.#ended = true;
      this.trigger(event, ...args);
      if (this.#ended && event === "done") this.disconnect();
    }

    // Show progress, log and captchas in `container`: a selector, an element or a jQuery object. `template`, when given,
    // is the selector, element or jQuery object whose content is used in place of the default look.
    bootstrap_ui(container, template) {
      const place = elementOf(container);
      place.replaceChildren(template ? contentOf(elementOf(template)) : defaultLook());
      dress(place.getRootNode());
      const bar = place.querySelector("#cv-pg-bar");
      const display = place.querySelector("#cv-pg-display");
      const log = place.querySelector("#cv-log");
      const note = place.querySelector("#cv-note");

      const say = (text) => note && (note.textContent = text);
      const ended = (success, text) => {
        if (display) display.textContent = text;
        if (!bar) return;
        if (success) fill(bar, 1);
        // The names of Bootstrap 3, and those of every later one.
        bar.classList.add(...(success ? ["progress-bar-success", "bg-success"] : ["progress-bar-danger", "bg-danger"]));
      };
      this.on("progress", (fraction, text) => {
        if (bar) fill(bar, fraction);
        if (display) display.textContent = text;
      });
      if (log) this.on("log_message", writerOf(log));
      this.on("done", (success) => ended(success, success ? "Done" : "Failed"));
      this.on("task_status", () => ended(false, "There is no such ticket (any more)."));
      this.on("connected", () => say(""));
      this.on("disconnected", (reason) => say(`${reason} Trying again …`));
      if (this.#interactive) this.captcha_ui(place.appendChild(make("div", { "aria-live": "polite" })));
      return this;
    }

    // Show captchas in `container`, and send what is typed. `bootstrap_ui` does it by itself.
    captcha_ui(container) {
      const place = elementOf(container);
      let shown = null;
      let form = null;
      this.on("captcha", (image) => {
        if (image !== shown) form = captchaForm(image, (answer) => this.emit("captcha_response", answer));
        shown = image;
        place.replaceChildren(form);
      });
      // After a break the server shows it again, if it is still to be answered; what was typed is still there then.
      for (const event of ["captcha_over", "disconnected", "done"]) this.on(event, () => place.replaceChildren());
      return this;
    }
  }

  // The old name: always interactive; `url` may end in /ws/converter.
  class Converter extends TaskWatcher {
    constructor(url, ticket) {
      super(url.replace(/\/ws\/converter\/?$/, ""), ticket, true);
    }
  }

  // Call `again` when the connection may have been lost unnoticed: another network, or a machine that has slept.
  // Returns what stops that.
  function whenItMayBeLost(again) {
    let looked = Date.now();
    const clock = setInterval(() => {
      const slept = Date.now() - looked > ASLEEP;
      looked = Date.now();
      if (slept) again();
    }, LOOK);

    let hidden = Infinity;
    const seen = () => {
      if (document.hidden) hidden = Date.now();
      else if (Date.now() - hidden > AWAY) again();
    };
    addEventListener("online", again);
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(clock);
      removeEventListener("online", again);
      document.removeEventListener("visibilitychange", seen);
    };
  }

  function elementOf(what) {
    const found = typeof what === "string" ? document.querySelector(what) : what instanceof Node ? what : what?.[0];
    if (!found) throw new Error(`There is no such element: ${what}`);
    return found;
  }

  function contentOf(template) {
    return (template.content || template).cloneNode(true);
  }

  // An element with its attributes and children; whatever comes from outside becomes text, never markup.
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function defaultLook() {
    return make(
      "div", { class: "cv-watch" },
      make("div", { class: "progress" }, make("div", {
        id: "cv-pg-bar", class: "progress-bar", role: "progressbar", "aria-label": "Conversion",
        "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0",
      })),
      make("div", { id: "cv-pg-display" }),
      // What comes quickly is not read out; who wants to hear it goes there.
      make("div", { id: "cv-log", role: "log", "aria-live": "off", "aria-label": "Log", tabindex: "0" }),
      make("div", { id: "cv-note", role: "status" }),
    );
  }

  // The default look weighs nothing: whatever the page itself, or its Bootstrap, says of an element has precedence.
  const LOOKS = `
    :where(.cv-watch) { display: grid; gap: .5em; }
    :where(.cv-watch > *) { min-width: 0; }
    :where(.cv-watch .progress) { height: 1.25em; overflow: hidden; border-radius: .3em; background: #8883; }
    :where(.cv-watch .progress-bar) { width: 0; height: 100%; background: #2f5fd0; transition: width .2s; }
    :where(.cv-watch .progress-bar-success) { background: #2c8a4b; }
    :where(.cv-watch .progress-bar-danger) { background: #c23b3b; }
    :where(#cv-pg-display) { min-height: 3em; white-space: pre-wrap; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
    :where(#cv-log) { height: 16em; overflow-y: auto; padding: .5em; border: 1px solid #8886; border-radius: .3em;
      font: .875em/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    :where(#cv-log > *) { padding-left: .5em; border-left: 3px solid transparent; }
    :where(#cv-log > [data-level="WARNING"]) { border-color: #c98a00; }
    :where(#cv-log > [data-level="ERROR"]) { border-color: #d43c3c; font-weight: 600; }
    :where(#cv-note) { min-height: 1.5em; }
    :where(.cv-captcha) { display: flex; flex-wrap: wrap; gap: .5em; align-items: center; }
    :where(.cv-captcha p) { flex: 0 0 100%; margin: 0; }
    :where(.cv-captcha input) { flex: 1; width: auto; }
    :where(.cv-captcha img) { max-width: 100%; background: #fff; }
    @media (prefers-reduced-motion: reduce) { :where(.cv-watch .progress-bar) { transition: none; } }
  `;
  let sheet = null;

  // Give the look to the document, or to the shadow tree, that the container is in.
  function dress(root) {
    if (!root.adoptedStyleSheets) return; // the container is in no document yet
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(LOOKS);
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  }

  function fill(bar, fraction) {
    const percent = Math.round(fraction * 100);
    bar.style.width = `${percent}%`;
    bar.setAttribute("aria-valuenow", percent);
  }

  // What writes lines into `log`, all that have come in one go: there may be thousands. It follows its end until the
  // reader scrolls away from it.
  function writerOf(log) {
    let lines = [];
    const write = () => {
      const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      log.append(...lines.map((text) => make("div", { "data-level": text.split(":", 1)[0] }, text)));
      lines = [];
      if (follows) log.scrollTop = log.scrollHeight;
    };
    return (text) => {
      if (lines.push(text) === 1) requestAnimationFrame(write);
    };
  }

  function captchaForm(image, answer) {
    const input = make("input", {
      type: "text", class: "form-control", autocomplete: "off", required: "", "aria-label": "What the picture shows",
    });
    const form = make(
      "form", { class: "cv-captcha" },
      make("p", {}, "The host of an archive asks: what does this picture show?"),
      make("img", { src: image, alt: "Captcha" }), input,
      make("button", { class: "btn btn-primary" }, "Send"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer(input.value);
      form.remove();
    });
    return form;
  }

  window.TaskWatcher = TaskWatcher;
  window.Converter = Converter;
})();
