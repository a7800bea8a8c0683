// The embeddable client: watches a conversion from any page, with or without jQuery and Bootstrap.
//
//   const watcher = new TaskWatcher("wss://host", ticket, false);
//   watcher.on("done", (success) => …);
//   watcher.bootstrap_ui("#container");
//   watcher.connect();
//
// It comes back by itself when the connection breaks, and asks for what it has missed.
(() => {
  "use strict";

  const FIRST_PAUSE = 500;
  const LONGEST_PAUSE = 15000;

  class TaskWatcher {
    constructor(server, ticket, interactive) {
      this._url = `${server.replace(/\/+$/, "")}/ws/${interactive ? "inter" : "watcher"}/${ticket}`;
      this._interactive = Boolean(interactive);
      this._callbacks = new Map();
      this._socket = null;
      this._lastId = null;
      this._ended = false;
      this._pause = FIRST_PAUSE;
    }

    // Call `callback` with the arguments of every event of this name.
    on(event, callback) {
      if (!this._callbacks.has(event)) this._callbacks.set(event, []);
      this._callbacks.get(event).push(callback);
      return this;
    }

    // Tell the server something; only on an interactive connection.
    emit(event, ...args) {
      if (!this._interactive) throw new Error("This connection is read-only!");
      if (this._socket && this._socket.readyState === WebSocket.OPEN) {
        this._socket.send(JSON.stringify([event, args]));
      }
    }

    connect() {
      const after = this._lastId ? `?after=${encodeURIComponent(this._lastId)}` : "";
      const socket = new WebSocket(this._url + after);
      this._socket = socket;
      socket.onopen = () => {
        this._pause = FIRST_PAUSE;
        if (this._interactive) this.emit("user_ready");
      };
      socket.onmessage = (message) => this._receive(message.data);
      socket.onclose = () => {
        if (this._ended) return;
        setTimeout(() => this.connect(), this._pause * (0.5 + Math.random()));
        this._pause = Math.min(this._pause * 2, LONGEST_PAUSE);
      };
    }

    _receive(text) {
      let message;
      try {
        message = JSON.parse(text);
      } catch {
        return;
      }
      const [event, args, id] = message;
      if (id) this._lastId = id;
      if (event === "done" || (event === "task_status" && args[0] === "missing")) this._ended = true;
      for (const callback of this._callbacks.get(event) || []) callback(...args);
    }

    // Show progress and log in `container`: a selector, an element or a jQuery object. `template`, when given, is the
    // selector, element or jQuery object whose content is used in place of the default look.
    bootstrap_ui(container, template) {
      const place = elementOf(container);
      place.replaceChildren(template ? contentOf(elementOf(template)) : defaultLook());
      const bar = place.querySelector("#cv-pg-bar");
      const display = place.querySelector("#cv-pg-display");
      const log = place.querySelector("#cv-log");

      this.on("progress", (fraction, text) => {
        if (bar) fill(bar, fraction);
        if (display) display.textContent = text;
      });
      this.on("log_message", (text) => {
        if (log) append(log, text);
      });
      this.on("done", (success) => {
        if (display) display.textContent = success ? "Done" : "Failed";
        if (!bar) return;
        fill(bar, 1);
        bar.classList.add(success ? "progress-bar-success" : "progress-bar-danger");
        bar.style.backgroundColor = success ? "#2c8a4b" : "#c23b3b";
      });
      this.on("captcha", (image) => place.append(captchaForm(image, (answer) => this.emit("captcha_response", answer))));
      return this;
    }
  }

  // The old name: always interactive; `url` may end in /ws/converter.
  class Converter extends TaskWatcher {
    constructor(url, ticket) {
      super(url.replace(/\/ws\/converter\/?$/, ""), ticket, true);
    }
  }

  function elementOf(what) {
    if (typeof what === "string") return document.querySelector(what);
    return what instanceof Node ? what : what[0];
  }

  function contentOf(template) {
    return (template.content || template).cloneNode(true);
  }

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    const { style, ...others } = attributes;
    for (const [name, value] of Object.entries(others)) element.setAttribute(name, value);
    Object.assign(element.style, style);
    element.append(...children);
    return element;
  }

  function defaultLook() {
    return make(
      "div", { class: "cv-watch" },
      make(
        "div", { class: "progress", style: { background: "#8883", borderRadius: "4px", overflow: "hidden" } },
        make("div", {
          id: "cv-pg-bar", class: "progress-bar", role: "progressbar", "aria-label": "Progress",
          "aria-valuemin": "0", "aria-valuemax": "100",
          style: { width: "0%", height: "1.25rem", backgroundColor: "#2667c9", transition: "width .2s" },
        }),
      ),
      make("pre", { id: "cv-pg-display", style: { minHeight: "3em", margin: ".5em 0" } }),
      make("div", {
        id: "cv-log", class: "log",
        style: { maxHeight: "24rem", overflowY: "auto", padding: ".5em", fontFamily: "monospace", whiteSpace: "pre-wrap" },
      }),
    );
  }

  function fill(bar, fraction) {
    const percent = Math.round(fraction * 100);
    bar.style.width = `${percent}%`;
    bar.setAttribute("aria-valuenow", percent);
  }

  // The log follows its end, until the reader scrolls away from it.
  function append(log, text) {
    const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(make("div", { class: text.split(":", 1)[0] }, text));
    if (follows) log.scrollTop = log.scrollHeight;
  }

  function captchaForm(image, answer) {
    const input = make("input", { type: "text", autocomplete: "off", "aria-label": "What does the picture show?" });
    const form = make(
      "form", { class: "cv-captcha" },
      make("p", {}, "The host asks: what does this picture show?"),
      make("img", { src: image, alt: "Captcha" }), input, make("button", {}, "Send"),
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
