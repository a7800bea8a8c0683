// Uploads archives through the server's upload door, a few at a time, and asks what is in them.

import { key, withKey } from "./session.js";

const AT_ONCE = 2;
const MOMENT = 500; // milliseconds between two looks at speed, and the first wait for a preview
const LONGEST_WAIT = 5000;
const PATIENCE = 10 * 60 * 1000;

// One archive on its way. `state` is waiting, uploading, done, failed, or refused before it was sent; `problem` says
// why. When done it has a `url` and, after a while, perhaps a `preview` of what it holds, or a `complaint` that it
// cannot be read.
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

// All uploads of a page. `rules` are { extensions, largest }; `changed` is called when anything is new about an upload.
export class Uploads {
  constructor({ rules, changed }) {
    this.rules = rules;
    this.changed = changed;
    this.all = [];
    this.requests = new Map();
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
    const problem = this.problemOf(file);
    if (problem) Object.assign(upload, { state: "refused", problem });
    this.changed(upload);
  }

  remove(upload) {
    this.all = this.all.filter((one) => one !== upload);
    this.requests.get(upload)?.abort();
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
      if (this.requests.size >= AT_ONCE) return;
      if (upload.state === "waiting") this.send(upload);
    }
  }

  problemOf({ name, size }) {
    const { extensions, largest } = this.rules;
    if (!extensions.length) return "This server takes no uploads.";
    const extension = name.split(".").pop().toLowerCase();
    if (!extensions.includes(extension)) return `Only ${extensions.join(", ")} can be uploaded.`;
    if (size > largest) return "This is larger than what this server takes.";
    return size ? "" : "This file is empty.";
  }

  send(upload) {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    this.requests.set(upload, request);
    upload.state = "uploading";
    this.changed(upload);
    let [at, sent] = [Date.now(), 0];
    request.upload.onprogress = ({ loaded, total }) => {
      upload.sent = Math.min(upload.file.size, loaded);
      const passed = Date.now() - at;
      if (passed >= MOMENT || loaded === total) {
        const rate = ((loaded - sent) / Math.max(passed, 1)) * 1000;
        upload.rate = upload.rate ? 0.7 * upload.rate + 0.3 * rate : rate;
        [at, sent] = [Date.now(), loaded];
      }
      this.changed(upload);
    };
    request.onload = () => this.take(upload, request);
    request.onerror = () => this.fail(upload, "The upload broke off.");
    request.onloadend = () => {
      this.requests.delete(upload);
      this.changed(upload);
      this.start();
    };
    const form = new FormData();
    form.append("file", upload.file, upload.file.name);
    request.open("POST", `/drop/${Math.floor(Date.now() / 1000)}/-/0`);
    request.setRequestHeader("Authorization", withKey().headers.Authorization);
    request.send(form);
  }

  take(upload, request) {
    if (request.status === 403) return this.fail(upload, "The API key may not upload.");
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // A proxy in between answered in its own way.
    }
    if (!answer.url) return this.fail(upload, answer.message || `The server answered ${request.status}.`);
    Object.assign(upload, { state: "done", sent: upload.file.size, url: answer.url });
    this.look(upload, answer.sha256);
  }

  fail(upload, problem) {
    Object.assign(upload, { state: "failed", problem });
  }

  async look(upload, sha256) {
    const preview = await previewOf(upload, sha256, () => this.all.includes(upload));
    if (!preview) return;
    if (preview.error) upload.complaint = [preview.error.message, preview.error.hint].filter(Boolean).join(" ");
    else upload.preview = preview;
    this.changed(upload);
  }
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
