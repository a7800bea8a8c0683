// The live view of one ticket.

import "./converter.js";
import { make } from "./dom.js";

const SERVER = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;

// Show the conversion `ticket` in `element`, live, and in the end what came of it; the generated document only with the
// ticket's `token`, which may be null.
export function watch(element, { ticket, token }) {
  const live = make("div");
  const outcome = make("section", { id: "outcome", hidden: true });
  element.replaceChildren(live, outcome);
  const watcher = new TaskWatcher(SERVER, ticket, true);
  watcher.bootstrap_ui(live);
  watcher.on("done", () => token && retrieve(outcome, ticket, token));
  watcher.connect();
}

async function retrieve(section, ticket, token) {
  const body = new URLSearchParams({ ticket, token });
  const response = await fetch("/api/converter/retrieve", { method: "POST", body });
  const result = await response.json();
  section.hidden = false;
  for (const [title, findings] of [["Errors", result.errors], ["Warnings", result.warnings]]) {
    if (!findings || !findings.length) continue;
    section.append(make("h2", {}, title), make("ul", {}, ...findings.map((one) => make("li", {}, sentence(one)))));
  }
  if (result.json) {
    const href = URL.createObjectURL(new Blob([result.json], { type: "application/json" }));
    const pretty = JSON.stringify(JSON.parse(result.json), null, 2);
    const link = make("a", { href, download: "generated.json" }, "Download");
    section.append(make("h2", {}, "Generated document"), link, make("pre", {}, pretty));
  }
}

function sentence(finding) {
  const place = [finding.mod, finding.package, finding.file].filter(Boolean).join(" / ");
  const text = [finding.message, finding.hint].filter(Boolean).join(" ");
  return place ? `${place}: ${text}` : text;
}
