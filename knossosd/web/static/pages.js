// The behaviour of this server's own pages.
(() => {
  "use strict";

  const server = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  const KEY = "knossosd-key"; // kept for this tab only
  const REFRESH = 3000;

  const pages = { converter, watch, tasks };
  (pages[document.body.dataset.page] || (() => {}))();

  function converter() {
    const form = document.querySelector("#submit");
    form.elements.passwd.value = sessionStorage.getItem(KEY) || "";
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problems = document.querySelector("#problems");
      const button = form.querySelector("button");
      problems.replaceChildren();
      button.disabled = true;
      try {
        const response = await fetch("/api/converter/request", {
          method: "POST",
          body: new URLSearchParams(new FormData(form)),
        });
        if (response.status === 403) return showProblems(problems, [{ path: "API key", message: "is not known here" }]);
        const answer = await response.json();
        if (answer.ticket === null) return showProblems(problems, answer.errors);
        sessionStorage.setItem(KEY, form.elements.passwd.value);
        form.hidden = true;
        show(document.querySelector("#live"), answer.ticket, () => outcome(answer));
      } catch (error) {
        showProblems(problems, [{ path: "", message: `The server cannot be reached (${error.message}).` }]);
      } finally {
        button.disabled = false;
      }
    });
  }

  function watch() {
    const live = document.querySelector("#live");
    show(live, live.dataset.ticket, () => {});
  }

  function show(live, ticket, whenDone) {
    live.hidden = false;
    const watcher = new TaskWatcher(server, ticket, true);
    watcher.bootstrap_ui(live);
    watcher.on("done", whenDone);
    watcher.connect();
  }

  async function outcome({ ticket, token }) {
    const response = await fetch("/api/converter/retrieve", {
      method: "POST",
      body: new URLSearchParams({ ticket, token }),
    });
    const result = await response.json();
    const section = document.querySelector("#outcome");
    section.hidden = false;
    for (const [title, findings] of [["Errors", result.errors], ["Warnings", result.warnings]]) {
      if (!findings || !findings.length) continue;
      section.append(element("h2", title), list(findings.map((one) => [place(one), one.message, one.hint])));
    }
    if (result.json) {
      const pretty = JSON.stringify(JSON.parse(result.json), null, 2);
      const link = element("a", "Download");
      link.href = URL.createObjectURL(new Blob([result.json], { type: "application/json" }));
      link.download = "generated.json";
      section.append(element("h2", "Generated document"), link, element("pre", pretty));
    }
  }

  function tasks() {
    const form = document.querySelector("#key");
    const open = form.dataset.open === "yes";
    let next;
    form.hidden = open || Boolean(sessionStorage.getItem(KEY));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, form.elements.key.value);
      form.hidden = true;
      refresh();
    });

    async function refresh() {
      const key = sessionStorage.getItem(KEY);
      if (!open && !key) return;
      const response = await fetch("/api/list_tasks", asOperator());
      if (response.status === 401) {
        sessionStorage.removeItem(KEY);
        form.hidden = false;
        return;
      }
      fillTable(Object.entries(await response.json()), key ? act : null);
      clearTimeout(next); // an action has looked meanwhile
      next = setTimeout(refresh, REFRESH);
    }

    async function act(action, ticket) {
      if (action === "remove" && !confirm(`Remove ticket ${ticket} and its result?`)) return;
      const response = await fetch(`/api/tasks/${ticket}/${action}`, { method: "POST", ...asOperator() });
      document.querySelector("#said").textContent = await said(response, ticket);
      refresh();
    }

    refresh();
  }

  // Without `omit` the browser itself would ask for a password when the key is refused.
  function asOperator() {
    const key = sessionStorage.getItem(KEY);
    return { credentials: "omit", headers: key ? { Authorization: `Bearer ${key}` } : {} };
  }

  async function said(response, ticket) {
    if (response.status === 401) return "This API key may not do that.";
    const answer = await response.json();
    if (answer.error) return answer.message;
    return answer.done ? "" : `There was nothing to do for ticket ${ticket}.`;
  }

  function actionsOn(task) {
    if (task.state !== "DONE") return ["cancel"];
    return task.success ? ["remove"] : ["retry", "remove"];
  }

  // Whoever may only look gets no buttons: `act` is null.
  function fillTable(entries, act) {
    document.querySelector("#note").textContent = entries.length ? "" : "Nothing to do at the moment.";
    document.querySelector("#tasks").replaceChildren(
      ...entries.map(([ticket, task]) => {
        const row = document.createElement("tr");
        const link = element("a", ticket);
        link.href = `/watch/${ticket}`;
        const failed = task.state === "DONE" && !task.success;
        const cells = [link, task.title, failed ? "FAILED" : task.state, `${Math.round(task.progress * 100)} %`, `${Math.round(task.age)} s`];
        if (act) cells.push(buttons(actionsOn(task), (action) => act(action, ticket)));
        for (const cell of cells) {
          const td = document.createElement("td");
          td.append(cell);
          row.append(td);
        }
        return row;
      }),
    );
  }

  function buttons(names, press) {
    const all = document.createDocumentFragment();
    for (const name of names) {
      const button = element("button", name);
      button.type = "button";
      button.addEventListener("click", () => press(name));
      all.append(button);
    }
    return all;
  }

  function showProblems(container, problems) {
    container.replaceChildren(list(problems.map((one) => [one.path, one.message])));
  }

  function place(finding) {
    return [finding.mod, finding.package, finding.file].filter(Boolean).join(" / ");
  }

  function list(rows) {
    const ul = document.createElement("ul");
    for (const [path, ...sentences] of rows) {
      const text = sentences.filter(Boolean).join(" ");
      ul.append(element("li", path ? `${path}: ${text}` : text));
    }
    return ul;
  }

  function element(tag, text) {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
  }
})();
