// The archives on their way, as a list with a bar each.

import { make } from "./dom.js";
import { summary } from "./draft.js";
import { duration, size } from "./figures.js";
import { Uploads } from "./uploads.js";

const FAILED = new Set(["failed", "refused"]);

// `uploaded` is called with { filename, url } of each archive, in the order in which they were added, and the names of
// all; when it gives false, the document cannot take the archive now, and `tell` tries again. `seen` is called with
// { url, preview } once it is known what an archive holds, `removed` with { url }, and `changed` when anything is new.
export class UploadList {
  constructor({ list, status, rules, uploaded, seen, removed, changed }) {
    Object.assign(this, { list, status, uploaded, seen, removed, changed });
    this.uploads = new Uploads({ rules, changed: (upload) => this.show(upload) });
    this.rows = new Map();
    this.told = new Set();
    this.untaken = new Set(); // told of, but the document could not take them
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
    else this.row(upload).show(this.untaken.has(upload));
    this.tell();
    this.changed();
  }

  drop(upload) {
    this.rows.get(upload)?.element.remove();
    this.rows.delete(upload);
    this.untaken.delete(upload);
    if (this.told.delete(upload)) this.removed({ url: upload.url });
  }

  // What is done goes into the document, but not before what stands in front of it.
  tell() {
    const filenames = this.uploads.all.filter((one) => !FAILED.has(one.state)).map((one) => one.file.name);
    for (const upload of this.uploads.all) {
      if (upload.state === "waiting" || upload.state === "uploading") return;
      if (upload.state === "done") this.tellOf(upload, filenames);
    }
  }

  tellOf(upload, filenames) {
    if (!this.told.has(upload)) {
      this.told.add(upload); // whatever it does to the document may bring us here again
      this.untaken.delete(upload);
      const isTaken = this.uploaded({ filename: upload.file.name, url: upload.url }, filenames);
      if (isTaken) this.status.textContent = `${upload.file.name} is uploaded and in the document.`;
      else {
        this.told.delete(upload);
        this.untaken.add(upload);
      }
      this.row(upload).show(!isTaken);
    }
    if (upload.preview && this.told.has(upload) && !this.looked.has(upload)) {
      this.looked.add(upload);
      this.seen({ url: upload.url, preview: upload.preview });
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
    const range = { "aria-valuemin": 0, "aria-valuemax": 100 };
    const label = `Upload of ${name}`;
    this.track = make("div", { class: "progress", role: "progressbar", "aria-label": label, ...range }, this.bar);
    this.said = make("span", { class: "said" });
    this.again = button("Retry", name, () => uploads.retry(upload));
    const remove = button("Remove", name, () => uploads.remove(upload));
    this.element = make("li", {}, make("span", { class: "name" }, name), this.said, this.again, remove, this.track);
  }

  show(isUntaken) {
    const { upload } = this;
    const percent = Math.round((100 * upload.sent) / Math.max(upload.file.size, 1));
    this.bar.style.width = `${percent}%`;
    this.track.setAttribute("aria-valuenow", percent);
    this.track.classList.toggle("full", upload.state === "done");
    this.again.hidden = upload.state !== "failed";
    this.said.textContent = inWords(upload, isUntaken);
    this.element.classList.toggle("failed", FAILED.has(upload.state) || Boolean(upload.complaint));
  }
}

function button(label, name, onclick) {
  const look = "btn btn-sm btn-outline-secondary";
  return make("button", { type: "button", class: look, "aria-label": `${label} ${name}`, onclick }, label);
}

function inWords(upload, isUntaken) {
  const whole = size(upload.file.size);
  if (FAILED.has(upload.state)) return upload.problem;
  if (upload.state === "waiting") return `${whole}, waiting`;
  if (upload.state === "uploading") {
    if (upload.problem) return `${upload.problem} Trying again …`;
    if (upload.sent === upload.file.size) return `${whole} sent, the server reads it`;
    const sent = `${size(upload.sent)} of ${whole}`;
    const left = (upload.file.size - upload.sent) / upload.rate;
    return upload.rate ? `${sent}, ${size(upload.rate)}/s, ${duration(left)} left` : sent;
  }
  if (upload.complaint) return upload.complaint;
  if (isUntaken) return `${whole} uploaded, but the document cannot take it as it is`;
  return `${whole} uploaded${upload.preview ? ` · ${summary(upload.preview)}` : ""}`;
}
