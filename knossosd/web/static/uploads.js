// Uploads archives, a few at a time, and asks what is in them.

import { problemOf, sendFile } from "./sending.js";
import { key, withKey } from "./session.js";

const AT_ONCE = 2;
const MOMENT = 500; // milliseconds between two looks at speed, and the first wait for a preview
const LONGEST_WAIT = 5000;
const PATIENCE = 10 * 60 * 1000;

// One archive on its way. `state` is waiting, uploading, done, failed, or refused before it was sent; `problem` says why
// it failed, was refused or pauses. When done it has a `url` and, after a while, perhaps a `preview` of what it holds, or
// a `complaint` that it cannot be read.
class Upload {
  constructor(file) {
    this.file = file;
    this.state = "waiting";
    this.sent = 0;
    this.rate = 0;
    this.problem = "";
    this.url = null;
    this.preview = null;
    this.complaint = "";
  }
}

// All uploads of a page. `rules` are { extensions, largest, largestInParts }; `changed` is called when anything is
// new about an upload.
export class Uploads {
  constructor({ rules, changed }) {
    this.rules = rules;
    this.changed = changed;
    this.all = [];
    this.sending = new Map();
  }

  get unfinished() {
    return this.all.some((one) => one.state === "waiting" || one.state === "uploading");
  }

  // Add a file, in place of one of the same name.
  add(file) {
    const before = this.all.find((one) => one.file.name === file.name);
    if (before) this.remove(before);
    const upload = new Upload(file);
    this.all.push(upload);
    const problem = problemOf(file, this.rules);
    if (problem) Object.assign(upload, { state: "refused", problem });
    this.changed(upload);
  }

  remove(upload) {
    this.all = this.all.filter((one) => one !== upload);
    this.sending.get(upload)?.abort();
    this.changed(upload);
    this.start();
  }

  retry(upload) {
    Object.assign(upload, { state: "waiting", sent: 0, rate: 0, problem: "" });
    this.changed(upload);
    this.start();
  }

  // Begin with those that wait, as many as may be on their way at once, once there is a key.
  start() {
    if (!key()) return;
    for (const upload of this.all) {
      if (this.sending.size >= AT_ONCE) return;
      if (upload.state === "waiting") this.send(upload);
    }
  }

  async send(upload) {
    const sending = new AbortController();
    this.sending.set(upload, sending);
    upload.state = "uploading";
    this.changed(upload);
    const paused = (problem) => {
      Object.assign(upload, { problem, rate: 0 });
      this.changed(upload);
    };
    const task = { signal: sending.signal, paused, progress: speedometer(upload, () => this.changed(upload)) };
    try {
      const { url, sha256 } = await sendFile(upload.file, this.rules, task);
      Object.assign(upload, { state: "done", sent: upload.file.size, url, problem: "" });
      this.look(upload, sha256);
    } catch (error) {
      if (sending.signal.aborted) return; // it was removed
      Object.assign(upload, { state: "failed", problem: error.message });
    } finally {
      this.sending.delete(upload);
      this.changed(upload);
      this.start();
    }
  }

  async look(upload, sha256) {
    const preview = await previewOf(upload, sha256, () => this.all.includes(upload));
    if (!preview) return;
    if (preview.error) upload.complaint = [preview.error.message, preview.error.hint].filter(Boolean).join(" ");
    else upload.preview = preview;
    this.changed(upload);
  }
}

// Returns what notes how many bytes of the upload are there, and how fast they come.
function speedometer(upload, changed) {
  let at = null;
  let sent = 0;
  return (there) => {
    at ??= Date.now() - 1;
    if (upload.sent === 0) sent = upload.sent = there; // what was there before did not come now
    Object.assign(upload, { sent: there, problem: "" });
    const passed = Date.now() - at;
    if (passed >= MOMENT || there === upload.file.size) {
      const rate = Math.max(0, ((there - sent) / passed) * 1000);
      upload.rate = upload.rate ? 0.7 * upload.rate + 0.3 * rate : rate;
      [at, sent] = [Date.now(), there];
    }
    changed();
  };
}

// What a worker found in the archive, as long as somebody `wants` to know. Null when nobody says: without it the draft
// is only less complete.
async function previewOf(upload, sha256, wants) {
  const link = `/api/uploads/${sha256}/preview`;
  const body = new URLSearchParams({ filename: upload.file.name });
  const deadline = Date.now() + PATIENCE;
  try {
    let answer = await fetch(link, { method: "POST", body, ...withKey() });
    for (let wait = MOMENT; answer.status === 202; wait = Math.min(wait * 1.5, LONGEST_WAIT)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (!wants() || Date.now() > deadline) return null;
      answer = await fetch(link, withKey());
    }
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
