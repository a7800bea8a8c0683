// The archives on their way, as a list with a bar each.

import { make } from "./dom.js";
import { summary } from "./draft.js";
import { Uploads } from "./uploads.js";

// `uploaded` is called with { filename, url } of each archive, in the order in which they were added, and the names of all;
// `seen` with { url, preview } once it is known what one holds; `removed` with { url }; `changed` whenever one ends.
export class UploadList {
  constructor({ list, status, rules, uploaded, seen, removed, changed }) {
    Object.assign(this, { list, status, uploaded, seen, removed, changed });
    this.uploads = new Uploads({ rules, changed: (upload) => this.show(upload) });
    this.rows = new Map();
    this.told = new Set();
    this.looked = new Set();
  }

  get unfinished() {
    return this.uploads.unfinished;
  }

  add(files) {
    for (const file of files) this.uploads.add(file);
  }

  start() {
    this.uploads.start();
  }

  clear() {
    for (const upload of [...this.uploads.all]) this.uploads.remove(upload);
  }

  show(upload) {
    if (!this.uploads.all.includes(upload)) this.drop(upload);
    else this.row(upload).show();
    this.tell();
    this.changed();
  }

  drop(upload) {
    this.rows.get(upload)?.element.remove();
    this.rows.delete(upload);
    if (this.told.delete(upload)) this.removed({ url: upload.url });
  }

  // What is done goes into the document, but not before what stands in front of it.
  tell() {
    const filenames = this.uploads.all.filter((one) => one.state !== "failed").map((one) => one.file.name);
    for (const upload of this.uploads.all) {
      if (upload.state === "waiting" || upload.state === "uploading") return;
      if (upload.state === "done" && !this.told.has(upload)) {
        this.told.add(upload);
        this.uploaded({ filename: upload.file.name, url: upload.url }, filenames);
        this.status.textContent = `${upload.file.name} is uploaded.`;
      }
      if (upload.preview && !this.looked.has(upload)) {
        this.looked.add(upload);
        this.seen({ url: upload.url, preview: upload.preview });
      }
    }
  }

  row(upload) {
    if (!this.rows.has(upload)) {
      const row = new Row(upload, this.uploads);
      this.rows.set(upload, row);
      this.list.append(row.element);
    }
    return this.rows.get(upload);
  }
}

class Row {
  constructor(upload, uploads) {
    this.upload = upload;
    this.bar = make("div", { class: "progress-bar" });
    const { name } = upload.file;
    this.track = make(
      "div", { class: "progress", role: "progressbar", "aria-label": `Upload of ${name}`, "aria-valuemin": 0, "aria-valuemax": 100 },
      this.bar,
    );
    this.said = make("span", { class: "said" });
    const button = (label, onclick) =>
      make("button", { type: "button", class: "btn btn-sm btn-outline-secondary", "aria-label": `${label} ${name}`, onclick }, label);
    this.again = button("Retry", () => uploads.retry(upload));
    this.element = make(
      "li", {},
      make("span", { class: "name" }, name), this.said, this.again, button("Remove", () => uploads.remove(upload)), this.track,
    );
  }

  show() {
    const { upload } = this;
    const percent = Math.round((100 * upload.sent) / Math.max(upload.file.size, 1));
    this.bar.style.width = `${percent}%`;
    this.track.setAttribute("aria-valuenow", percent);
    this.track.classList.toggle("full", upload.state === "done");
    this.again.hidden = upload.state !== "failed";
    this.said.textContent = inWords(upload);
    this.element.classList.toggle("failed", upload.state === "failed" || Boolean(upload.complaint));
  }
}

function inWords(upload) {
  const size = bytes(upload.file.size);
  if (upload.state === "failed") return upload.problem;
  if (upload.state === "waiting") return `${size}, waiting`;
  if (upload.state === "uploading") {
    const left = upload.rate ? `, ${bytes(upload.rate)}/s, ${duration((upload.file.size - upload.sent) / upload.rate)} left` : "";
    return `${bytes(upload.sent)} of ${size}${left}`;
  }
  if (upload.complaint) return upload.complaint;
  return `${size} uploaded${upload.preview ? ` · ${summary(upload.preview)}` : ""}`;
}

function bytes(count) {
  const units = ["bytes", "KB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), 3);
  return `${(count / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
