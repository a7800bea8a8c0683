// The page /converter: a document is pasted, typed, dropped or drafted from archives, and submitted; then the page
// shows the conversion live.

import { moveTo } from "./address.js";
import * as draft from "./draft.js";
import { Editor } from "./editor.js";
import { modOf, ModForm } from "./form.js";
import { answerOf, Refused } from "./refusals.js";
import { Schema } from "./schema.js";
import * as session from "./session.js";
import { SignIn } from "./signin.js";
import { UploadList } from "./uploadlist.js";

const EXAMPLE = {
  id: "my_mod",
  title: "My Mod",
  version: "1.0.0",
  packages: [{
    name: "Core",
    status: "required",
    dependencies: [{ id: "FSO", version: ">=24.2.0" }],
    files: [{ filename: "core.7z", urls: ["https://host.example/core.7z"] }],
  }],
};

// What only the live view needs is loaded while the document is submitted.
const liveView = () => import("./watch.js");

const find = (id) => document.getElementById(id);
const page = find("converter");
const convert = find("convert");

const schema = new Schema(await (await fetch("/schema.json")).json());
const signIn = new SignIn({ form: find("key"), kept: find("kept"), given: () => editor.check() });
const form = new ModForm({ place: find("form"), packages: find("packages"), write: (repo) => editor.write(repo) });
const editor = new Editor({
  area: find("data"),
  list: find("problems"),
  status: find("verdict"),
  schema,
  changed: (repo, problems) => {
    form.show(repo, problems);
    session.keepDraft(editor.text, find("form").offsetHeight);
    uploads.tell();
    ready();
  },
});
const uploads = new UploadList({
  list: find("uploads"),
  status: find("said"),
  rules: {
    extensions: page.dataset.extensions.split(" ").filter(Boolean),
    largest: Number(page.dataset.largest),
    largestInParts: Number(page.dataset.largestInParts),
  },
  uploaded: (upload, filenames) => change(filenames, (mod) => draft.add(mod, upload, filenames)),
  seen: (upload) => change([], (mod) => draft.complete(mod, upload)),
  removed: (upload) => change([], (mod) => draft.remove(mod, upload.url)),
  changed: () => ready(),
});

editor.text = editor.text || session.draft();
document.documentElement.removeAttribute("data-draft"); // the form is there now, or there is none
find("example").addEventListener("click", () => editor.write(EXAMPLE));
find("clear").addEventListener("click", () => {
  uploads.clear();
  editor.text = "";
});
find("files").addEventListener("change", ({ target }) => {
  take([...target.files]);
  target.value = "";
});
convert.addEventListener("click", submit);
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // or else the browser would leave the page and show the file
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}
addEventListener("beforeunload", (event) => {
  if (uploads.unfinished) event.preventDefault();
});

async function take(files) {
  const documents = files.filter((file) => /\.json$/i.test(file.name));
  if (documents.length) editor.text = await documents[0].text();
  const archives = files.filter((file) => !documents.includes(file));
  if (!archives.length) return;
  uploads.add(archives);
  await signIn.key();
  uploads.start();
}

// Change the mod of the document, if it has one; when there is no document yet, begin one for archives of these names.
function change(filenames, how) {
  const isNew = !editor.text.trim() && filenames.length > 0;
  const repo = isNew ? draft.begin(filenames) : structuredClone(editor.repo);
  const found = modOf(repo);
  if (!found) return false;
  how(found.mod);
  editor.write(repo);
  return true;
}

// Whether the document can be submitted, and if not, why.
function ready() {
  const why = whyNot();
  convert.disabled = Boolean(why);
  find("why").textContent = why;
}

function whyNot() {
  if (uploads.unfinished) return "The archives are still being uploaded.";
  return editor.text.trim() ? "" : "There is no document yet.";
}

// Sent twice, as when an answer gets lost, the same text makes one ticket.
const attempt = { text: null, id: null };
let isAsked = false;

async function submit() {
  if (isAsked) return;
  isAsked = true;
  refuse("");
  await signIn.key();
  convert.disabled = true;
  if (attempt.text !== editor.text) Object.assign(attempt, { text: editor.text, id: drawn() });
  liveView().catch(() => {}); // it is tried again in the end
  try {
    const { headers, ...options } = session.withKey();
    const response = await fetch("/api/converter/request", {
      method: "POST",
      body: new URLSearchParams({ data: attempt.text }),
      headers: { ...headers, "Idempotency-Key": attempt.id },
      ...options,
    });
    const answer = await answerOf(response);
    if (answer.errors) editor.judge(answer);
    if (answer.error) return refuse(answer.errors ? "The document is not valid yet." : answer.message);
    await show(answer);
  } catch (error) {
    if (!(error instanceof Refused)) refuse(`The server cannot be reached (${error.message}). Please try again.`);
    else if (error.status === 403) signIn.refuse();
    else refuse(error.message);
  } finally {
    isAsked = false;
    ready();
  }
}

function drawn() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function refuse(message) {
  find("refusal").textContent = message;
}

async function show({ ticket, token }) {
  session.keepToken(ticket, token);
  const module = await liveView().catch(() => null);
  if (!module) return location.assign(`/watch/${ticket}`);
  moveTo(`/watch/${ticket}`);
  document.title = "Conversion · knossosd";
  document.querySelector("h1").textContent = "Conversion";
  document.querySelector("header [aria-current]").removeAttribute("aria-current");
  page.hidden = true;
  const live = find("live");
  live.hidden = false;
  module.watch(live, { ticket, token });
  document.querySelector("main").focus();
}
