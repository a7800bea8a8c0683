// The webhooks: where they go, and what came of each attempt.

import { deed } from "./acting.js";
import { Age } from "./clock.js";
import { make, say } from "./dom.js";
import { Roster } from "./roster.js";

const LOOKS = { waiting: "waiting", delivered: "succeeded", "given up": "failed" };

export const deliveries = (pane) => new Roster(pane, { key: (item) => item.id, row: deliveryRow });

function deliveryRow({ id, ticket, site }) {
  const age = new Age((text) => `${text} ago`);
  const state = make("span", { class: "state" });
  const attempts = make("span");
  const log = make("ul", { class: "reasons" });
  const acts = make("div", { class: "acts" });
  const element = make(
    "li",
    {},
    make("div", { class: "what" }, make("span", { class: "site", title: `${site}, delivery ${id}` }, site.replace("https://", "")), state),
    make("p", { class: "meta" }, age.element, attempts, make("span", {}, `ticket ${ticket}`)),
    log,
    acts,
  );
  const fill = (item) => {
    element.className = LOOKS[item.state];
    say(state, item.state);
    say(attempts, item.attempts === 1 ? "1 attempt" : `${item.attempts} attempts`);
    const last = item.log.at(-1);
    age.since(last ? last.time : item.created);
    log.replaceChildren(...(last && item.state !== "delivered" ? [make("li", {}, last.outcome)] : []));
    if (acts.dataset.state === item.state) return; // a button that somebody is about to press stays
    acts.dataset.state = item.state;
    acts.replaceChildren(redeliver(item));
  };
  return { element, fill };
}

function redeliver({ id, site, state }) {
  const question = [`Send it to ${site} once more?`, "The site has taken it already, and is told the same again.", "Send it"];
  return deed("Redeliver", `to ${site}`, `/api/webhooks/${id}/redeliver`, state === "delivered" ? question : null);
}
