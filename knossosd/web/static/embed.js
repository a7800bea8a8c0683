// The page /docs/embed: the embeddable client as any other page would use it.

import "./converter.js";

const SERVER = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;

// What a small conversion once told: seconds from the one before, the event, its arguments.
const RECORDING = [
  [0, "log_message", "INFO: Downloading core.7z"],
  [0.2, "log_message", "INFO: Downloading readme.txt"],
  [0.3, "progress", 0.12, " 31% core.7z\n 80% readme.txt"],
  [0.6, "progress", 0.35, " 74% core.7z"],
  [0.5, "log_message", "INFO: Inspecting core.7z"],
  [0.3, "progress", 0.62, " 24% core.7z"],
  [0.7, "log_message", "WARNING: my_mod / Core / core.7z: ships.tbl and Ships.tbl differ only in case. Rename one of them."],
  [0.3, "progress", 0.9, " 81% core.7z"],
  [0.6, "log_message", "INFO: The conversion is through."],
  [0.2, "done", true],
];

const form = document.querySelector("#try");
let playing = 0;
let watcher = null;
watcher = show();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  watcher = show();
  watcher.connect();
});

document.querySelector("#play").addEventListener("click", () => {
  watcher = show();
  play(0);
});

// A new watcher in the place of the one before, showing nothing yet.
function show() {
  watcher?.disconnect();
  clearTimeout(playing);
  say("");
  const { ticket, interactive } = form.elements;
  const fresh = new TaskWatcher(SERVER, ticket.value, interactive.checked);
  fresh.bootstrap_ui("#example");
  fresh.on("done", (success) => say(`Your page was told: done (${success})`));
  return fresh;
}

function play(index) {
  if (index === RECORDING.length) return;
  const [pause, ...event] = RECORDING[index];
  playing = setTimeout(() => {
    watcher.trigger(...event);
    play(index + 1);
  }, pause * 1000);
}

function say(text) {
  document.querySelector("#said").textContent = text;
}
