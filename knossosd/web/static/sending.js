// Sends files to the server: small ones through the upload door in one request, large ones in parts, which go on where
// they were when something broke.

import { send, Unreachable } from "./request.js";
import { Refused } from "./refusals.js";
import * as session from "./session.js";

const LARGE = 64 * 2 ** 20; // bytes
const WAIT = 20; // seconds that the server may take to say how far it is
const TRIES = 7;
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 120; // seconds; who is asked to come back later than this does so when he wants to
const PASSING = new Set([422, 429, 500, 502, 503, 504]);
const UNREADABLE = "The server could not read what came.";

// Why the file cannot be uploaded, empty when it can. `rules` are { extensions, largest, largestInParts }.
export function problemOf({ name, size }, { extensions, largest, largestInParts }) {
  if (!extensions.length) return "This server takes no uploads.";
  const extension = name.split(".").pop().toLowerCase();
  if (!extensions.includes(extension)) return `Only ${extensions.join(", ")} can be uploaded.`;
  if (size > Math.max(largest, largestInParts)) return "This is larger than what this server takes.";
  if (size > largest && !canHash()) return "A file as large as this can be uploaded only where this page comes by https.";
  return size ? "" : "This file is empty.";
}

// Resolves with { url, sha256 }. `task` is { signal, progress, paused }: `progress` is called with how many bytes are
// there, `paused` with the reason when it has to be tried again in a while. Throws `Refused`, `Unreachable`, or the
// reason of `signal`; an upload that was called off is forgotten by the server.
export async function sendFile(file, rules, task) {
  try {
    const isLarge = file.size >= LARGE || file.size > rules.largest;
    return await (isLarge && canHash() && file.size <= rules.largestInParts ? inParts(file, task) : throughDoor(file, task));
  } catch (error) {
    if (error instanceof Refused && error.status === 403) throw new Refused(403, "The API key may not upload.");
    throw error;
  }
}

// Browsers offer it on secure pages only.
const canHash = () => Boolean(crypto.subtle);

async function throughDoor(file, { signal, progress }) {
  const body = new FormData();
  body.append("file", file, file.name);
  const key = session.key();
  const told = (sent) => progress(Math.min(sent, file.size));
  const answer = await send("POST", `/drop/${Math.floor(Date.now() / 1000)}/-/0`, { body, key, signal, progress: told });
  if (!answer.url) throw new Refused(200, answer.message);
  return answer;
}

async function inParts(file, task) {
  const upload = new PartedUpload(file, task);
  try {
    await upload.begin();
    for (let round = 1; ; round += 1) {
      await upload.sendMissing();
      const outcome = await upload.finish();
      if (outcome.state === "DONE") return outcome;
      if (outcome.state === "FAILED" || round === TRIES) throw new Refused(200, outcome.errors[0]?.message ?? UNREADABLE);
    }
  } catch (error) {
    if (task.signal.aborted) upload.giveUp();
    throw error;
  }
}

// One upload in parts. This tab remembers it by the file, and so it goes on after the page was loaded anew as well.
class PartedUpload {
  constructor(file, { signal, progress, paused }) {
    Object.assign(this, { file, signal, progress, paused });
    this.name = `${file.name} ${file.size} ${file.lastModified}`;
  }

  // Begin it, or find the one that was begun.
  async begin() {
    const kept = session.upload(this.name);
    if (kept) {
      this.about = kept;
      try {
        const found = await this.ask("GET", "");
        if (found.state !== "FAILED") return;
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;
      }
      session.forgetUpload(this.name);
    }
    const body = new URLSearchParams({ filename: this.file.name, size: this.file.size });
    const options = { body, key: session.key(), signal: this.signal };
    this.about = await this.persistently(() => send("POST", "/api/chunked", options));
    session.keepUpload(this.name, { id: this.about.id, token: this.about.token });
  }

  async sendMissing() {
    const { missing = [], part_size: length, size } = await this.ask("GET", "");
    const lengthOf = (number) => Math.min(length, size - number * length);
    let there = size - missing.reduce((sum, number) => sum + lengthOf(number), 0);
    this.progress(there);
    for (const number of missing) {
      const body = await this.file.slice(number * length, number * length + lengthOf(number)).arrayBuffer();
      const path = `/parts/${number}?sha256=${await sha256(body)}`;
      await this.ask("PUT", path, { body, progress: (sent) => this.progress(there + sent) });
      there += lengthOf(number);
      this.progress(there);
    }
  }

  // Have it read by the server: resolves with what comes of it.
  async finish() {
    let outcome = await this.ask("POST", "/finish");
    while (outcome.state === "FINISHING") outcome = await this.ask("GET", `?wait=${WAIT}`);
    if (outcome.state !== "OPEN") session.forgetUpload(this.name);
    return outcome;
  }

  giveUp() {
    session.forgetUpload(this.name);
    if (!this.about) return;
    const headers = { Authorization: `Bearer ${this.about.token}` };
    fetch(`/api/chunked/${this.about.id}`, { method: "DELETE", headers, credentials: "omit" }).catch(() => {});
  }

  ask(method, path, options = {}) {
    const { id, token } = this.about;
    return this.persistently(() => send(method, `/api/chunked/${id}${path}`, { ...options, key: token, signal: this.signal }));
  }

  // What the server answers, although it or the network may be away for a while, or it may have to be asked later.
  async persistently(ask) {
    for (let tried = 1; ; tried += 1) {
      try {
        return await ask();
      } catch (error) {
        if (tried === TRIES || !mayPass(error)) throw error;
        this.paused(error.message);
        await aWhile(Math.max(FIRST_PAUSE * 2 ** (tried - 1), 1000 * (error.after || 0)), this.signal);
      }
    }
  }
}

const mayPass = (error) =>
  error instanceof Unreachable ||
  (error instanceof Refused && PASSING.has(error.status) && error.after <= LONGEST_PAUSE);

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// So long, or less when the network is back.
function aWhile(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(go, milliseconds);
    function go() {
      clearTimeout(timer);
      removeEventListener("online", go);
      signal.removeEventListener("abort", go);
      resolve();
    }
    addEventListener("online", go);
    signal.addEventListener("abort", go);
  });
}
