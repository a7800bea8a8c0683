// The page /tasks.

import { make } from "./dom.js";
import * as session from "./session.js";

const REFRESH = 3000;

const form = document.querySelector("#key");
const open = form.dataset.open === "yes";
let next;

form.hidden = open || Boolean(session.key());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  session.keepKey(form.elements.key.value);
  form.hidden = true;
  refresh();
});
refresh();

async function refresh() {
  const key = session.key();
  if (!open && !key) return;
  const response = await fetch("/api/list_tasks", session.withKey());
  if (response.status === 401) {
    session.forgetKey();
    form.hidden = false;
    return;
  }
  document.querySelector("#list").hidden = false;
  fillTable(Object.entries(await response.json()), key ? act : null);
  clearTimeout(next); // an action has looked meanwhile
  next = setTimeout(refresh, REFRESH);
}

async function act(action, ticket) {
  if (action === "remove" && !confirm(`Remove ticket ${ticket} and its result?`)) return;
  const response = await fetch(`/api/tasks/${ticket}/${action}`, { method: "POST", ...session.withKey() });
  document.querySelector("#said").textContent = await said(response, ticket);
  refresh();
}

async function said(response, ticket) {
  if (response.status === 401) return "This API key may not do that.";
  const answer = await response.json();
  if (answer.error) return answer.message;
  return answer.done ? "" : `There was nothing to do for ticket ${ticket}.`;
}

// Whoever may only look gets no buttons: `act` is null.
function fillTable(entries, act) {
  document.querySelector("#note").textContent = entries.length ? "" : "Nothing to do at the moment.";
  document.querySelector("#tasks").replaceChildren(
    ...entries.map(([ticket, task]) => {
      const failed = task.state === "DONE" && !task.success;
      const cells = [
        make("a", { href: `/watch/${ticket}` }, ticket),
        task.title,
        failed ? "FAILED" : task.state,
        `${Math.round(task.progress * 100)} %`,
        `${Math.round(task.age)} s`,
      ];
      if (act) cells.push(buttons(actionsOn(task), (action) => act(action, ticket)));
      return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
    }),
  );
}

function actionsOn(task) {
  if (task.state !== "DONE") return ["cancel"];
  return task.success ? ["remove"] : ["retry", "remove"];
}

function buttons(names, press) {
  const look = "btn btn-sm btn-outline-secondary";
  const all = names.map((name) => make("button", { type: "button", class: look, onclick: () => press(name) }, name));
  return make("div", { class: "d-flex gap-1" }, ...all);
}
