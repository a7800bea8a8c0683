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
      const response = await fetch("/api/list_tasks", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
      if (response.status === 401) {
        sessionStorage.removeItem(KEY);
        form.hidden = false;
        return;
      }
      fillTable(Object.entries(await response.json()));
      setTimeout(refresh, REFRESH);
    }
    refresh();
  }

  function fillTable(entries) {
    document.querySelector("#note").textContent = entries.length ? "" : "Nothing to do at the moment.";
    document.querySelector("#tasks").replaceChildren(
      ...entries.map(([ticket, task]) => {
        const row = document.createElement("tr");
        const link = element("a", ticket);
        link.href = `/watch/${ticket}`;
        const failed = task.state === "DONE" && !task.success;
        const cells = [link, task.title, failed ? "FAILED" : task.state, `${Math.round(task.progress * 100)} %`, `${Math.round(task.age)} s`];
        for (const cell of cells) {
          const td = document.createElement("td");
          td.append(cell);
          row.append(td);
        }
        return row;
      }),
    );
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
