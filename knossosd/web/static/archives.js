// The archives: a bar for each, with its stage, bytes, speed and time left.

import { fill, progressbar } from "./bars.js";
import { make } from "./dom.js";
import { count, duration, size } from "./figures.js";
import { Rows } from "./rows.js";

const ROW = 3.75; // rem
const ROUND = 150; // milliseconds in which all updates of a round have come
const STILL = 6000; // milliseconds without a byte, after which the last speed is not the present one
const LOOK = 1000; // milliseconds between two looks at that
const ENDED = new Set(["done", "failed"]);
// What archives in a stage count as together, in the order of its weight.
const GROUPS = {
  failed: "failed", stopped: "not finished", downloading: "running", inspecting: "running", mirroring: "running",
  done: "done", waiting: "waiting",
};
const wordOf = (stage) => (stage === "stopped" ? "not finished" : stage);

// Only the bars in view exist, so there may be thousands.
export class Archives {
  #files = [];
  #byPlace = new Map();
  #running = new Set();
  #turn = 0;
  #drawing = 0;
  #left = false;
  #looking = setInterval(() => this.#running.size && this.#draw(), LOOK);
  #followed = -1;
  #summary = make("p", { class: "part-note" });
  #box = make("div", { class: "bars", role: "list", "aria-label": "Archives", tabindex: "0" });
  #rows;

  constructor(element) {
    element.append(make("div", { class: "part-head" }, make("h3", {}, "Archives"), this.#summary), this.#box);
    this.#rows = new Rows(this.#box, ROW, (index, before) => drawArchive(this.#files[index], index, this.count, before));
    for (const leaving of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      this.#box.addEventListener(leaving, () => (this.#left = true), { passive: true });
    }
  }

  get count() {
    return this.#files.length;
  }

  get ended() {
    return this.#files.filter((file) => ENDED.has(file.stage) || file.stage === "mirroring").length;
  }

  // Bytes per second of all downloads together.
  get rate() {
    return [...this.#running].reduce((sum, file) => sum + (file.stage === "downloading" ? presentRate(file) : 0), 0);
  }

  // All archives there are. On a reload what runs now was told before them, and stays.
  plan(places) {
    const running = [...this.#running];
    this.#files = [];
    this.#byPlace.clear();
    this.#running.clear();
    for (const place of places) this.#add(place);
    for (const file of running) this.update(file);
    this.#draw();
  }

  // How far one archive is: the event `file`.
  update(told) {
    const file = this.#byPlace.get(keyOf(told)) ?? this.#add(told);
    if (file.stage !== told.stage || file.done !== told.done) file.moved = performance.now();
    Object.assign(file, told, { turn: this.#turn });
    if (ENDED.has(file.stage)) this.#running.delete(file);
    else this.#running.add(file);
    this.#draw();
  }

  // A new round of updates of all running archives begins. Who is not among them does not run any more.
  nextTurn() {
    this.#turn += 1;
    const turn = this.#turn;
    setTimeout(() => {
      for (const file of this.#running) {
        if (file.turn >= turn) continue;
        this.#running.delete(file);
        file.stage = file.stage === "mirroring" ? "done" : "waiting";
      }
      this.#draw();
    }, ROUND);
  }

  // Nothing runs any more.
  end(success) {
    clearInterval(this.#looking);
    this.#running.clear();
    for (const file of this.#files) if (file.stage !== "failed") file.stage = endOf(file, success);
    this.#draw();
  }

  #add(place) {
    const file = { ...place, stage: "waiting", done: 0, total: null, rate: 0, turn: 0, moved: 0 };
    this.#files.push(file);
    this.#byPlace.set(keyOf(place), file);
    return file;
  }

  #draw() {
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#rows.show(this.count);
      this.#summary.textContent = summary(this.#files);
      this.#followWork();
    });
  }

  // Keep the first archive that runs in view, until the reader scrolls.
  #followWork() {
    const first = this.#left ? -1 : this.#files.findIndex((file) => this.#running.has(file));
    if (first === -1 || first === this.#followed) return;
    this.#followed = first;
    this.#rows.reveal(Math.min(first + this.#rows.inView - 1, this.count - 1));
    this.#rows.reveal(first);
  }
}

function endOf(file, success) {
  if (success || file.stage === "done" || file.stage === "mirroring") return "done";
  return "stopped";
}

const keyOf = (place) => JSON.stringify([place.mod, place.package, place.file]);

function summary(files) {
  const numbers = new Map(Object.values(GROUPS).map((group) => [group, 0]));
  for (const { stage } of files) numbers.set(GROUPS[stage], numbers.get(GROUPS[stage]) + 1);
  return [...numbers].filter(([, number]) => number)
    .map(([group, number]) => `${count(number)} ${group}`).join(" · ");
}

function drawArchive(file, index, count, before) {
  const row = before ?? make(
    "div", { class: "bar", role: "listitem" },
    make("div", { class: "bar-head" }, make("span", { class: "name" }), make("span", { class: "stage" })),
    make("div", { class: "progress" }, progressbar("")),
    make("div", { class: "figures" }),
  );
  const [head, progress, figures] = row.children;
  const [name, stage] = head.children;
  const bar = progress.firstChild;
  row.dataset.stage = file.stage;
  row.setAttribute("aria-posinset", index + 1);
  row.setAttribute("aria-setsize", count);
  write(name, file.file);
  name.title = `${file.mod} / ${file.package} / ${file.file}`;
  write(stage, wordOf(file.stage));
  write(figures, figuresOf(file));
  bar.setAttribute("aria-label", `${file.file}, ${wordOf(file.stage)}`);
  fill(bar, percentOf(file));
  return row;
}

function percentOf({ stage, done, total }) {
  if (stage === "done" || stage === "mirroring") return 100;
  return stage !== "waiting" && total ? Math.min(100, Math.floor((done / total) * 100)) : 0;
}

function figuresOf(file) {
  const { package: name, stage, done, total } = file;
  if (stage !== "downloading" && stage !== "inspecting") return name;
  const rate = presentRate(file);
  const bytes = total ? `${size(done)} of ${size(total)}` : size(done);
  const left = total && rate ? `${duration((total - done) / rate)} left` : null;
  const still = stage === "downloading" && stillFor(file);
  return [bytes, rate && `${size(rate)}/s`, left, still && `nothing for ${duration(still / 1000)}`].filter(Boolean).join(" · ");
}

// Milliseconds for which no byte has come, 0 when that is nothing to speak of.
function stillFor({ moved }) {
  const still = performance.now() - moved;
  return still > STILL ? still : 0;
}

const presentRate = (file) => (stillFor(file) ? 0 : file.rate);

// Text that stays as it is costs no layout.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
