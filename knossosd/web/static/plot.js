// A small plot: lines, or bars that stand on each other, over the time of a day. Drawn as SVG, with a title, a
// description, and all of it once more as a table.

import { make, say } from "./dom.js";
import { timeOfDay } from "./figures.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 170;
const INSIDE = { left: 44, right: 352, top: 10, bottom: 146 };
const HOURS_BETWEEN_TICKS = 6;

let plots = 0;

export class Plot {
  // `names` are those of the series, in order. `kind` is "lines" or "bars"; `steps` are the tops that the scale may have,
  // smallest first; `format` writes a value.
  constructor(figure, { title, names, kind, steps, format }) {
    Object.assign(this, { kind, names, steps, format });
    const id = `plot${(plots += 1)}`;
    this.description = draw("desc", { id: `${id}d` });
    const heading = draw("title", { id: `${id}t` }, title);
    this.drawing = draw("g");
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": `${id}t ${id}d` };
    this.table = make("tbody");
    const columns = ["From", ...names].map((name) => make("th", { scope: "col" }, name));
    const head = make("thead", {}, make("tr", {}, ...columns));
    const table = make("table", { class: "table table-sm" }, make("caption", {}, title), head, this.table);
    const scrolling = { class: "as-table", tabindex: 0, role: "region", "aria-label": `${title}, as a table` };
    figure.append(
      make("figcaption", {}, make("span", {}, title), ...names.map((name, index) => legend(name, index, kind))),
      draw("svg", box, heading, this.description, this.drawing),
      make("details", {}, make("summary", {}, "As a table"), make("div", scrolling, table)),
    );
  }

  // `times` are the beginnings of slots of `step` seconds; `series` has a list of values for each name, with null where
  // nobody knows. `hours` has a row for each hour: its beginning, and the values.
  show({ times, step, series, description, hours }) {
    const highest = Math.max(0, ...tops(series, this.kind));
    const top = this.steps.find((one) => one >= highest) ?? highest;
    const end = times.at(-1) + step;
    const x = (time) => INSIDE.left + ((time - times[0]) / (end - times[0])) * (INSIDE.right - INSIDE.left);
    const y = (value) => INSIDE.bottom - (value / top) * (INSIDE.bottom - INSIDE.top);
    const shapes = this.kind === "bars" ? bars(times, step, series, x, y) : lines(times, series, x, y);
    this.drawing.replaceChildren(...this.scale(top, y), ...ticks(times, x), ...shapes);
    say(this.description, description);
    const cells = (row) => row.map((value) => make("td", {}, value === null ? "–" : this.format(value)));
    const rows = hours.map(([time, ...values]) =>
      make("tr", {}, make("th", { scope: "row" }, timeOfDay(time)), ...cells(values)),
    );
    this.table.replaceChildren(...rows);
  }

  scale(top, y) {
    return [0, top / 2, top].flatMap((value) => [
      draw("path", { class: "rule", d: `M${INSIDE.left} ${round(y(value))}H${INSIDE.right}` }),
      draw("text", { x: INSIDE.left - 6, y: round(y(value)) + 4, "text-anchor": "end" }, this.format(value)),
    ]);
  }
}

function ticks(times, x) {
  return times
    .filter((time) => new Date(time * 1000).getMinutes() === 0)
    .filter((time) => new Date(time * 1000).getHours() % HOURS_BETWEEN_TICKS === 0)
    .map((time) => draw("text", { x: round(x(time)), y: INSIDE.bottom + 16, "text-anchor": "middle" }, timeOfDay(time)));
}

function lines(times, series, x, y) {
  return series.map((values, index) => {
    let isDrawing = false;
    const parts = values.map((value, slot) => {
      const place = value === null ? null : `${round(x(times[slot]))} ${round(y(value))}`;
      const part = place && (isDrawing ? `L${place}` : `M${place}h0`); // a point alone shows as a dot
      isDrawing = place !== null;
      return part ?? "";
    });
    return draw("path", { class: `line series${index}`, d: parts.join("") });
  });
}

function bars(times, step, series, x, y) {
  const width = Math.max(0.5, (x(times[0] + step) - x(times[0])) * 0.85);
  const heights = times.map(() => 0);
  return series.map((values, index) => {
    const parts = values.map((value, slot) => {
      if (!value) return "";
      const below = heights[slot];
      heights[slot] += value;
      return `M${round(x(times[slot]))} ${round(y(below))}V${round(y(heights[slot]))}h${round(width)}V${round(y(below))}z`;
    });
    return draw("path", { class: `bar series${index}`, d: parts.join("") });
  });
}

function tops(series, kind) {
  if (kind === "lines") return series.flat().filter((value) => value !== null);
  return series[0].map((_, slot) => series.reduce((sum, values) => sum + values[slot], 0));
}

function legend(name, index, kind) {
  const shape = kind === "bars" ? { class: `bar series${index}`, d: "M0 3h14v8h-14z" } : { class: `line series${index}`, d: "M0 7H22" };
  const sample = draw("svg", { class: "sample", viewBox: kind === "bars" ? "0 0 14 14" : "0 0 22 14", "aria-hidden": "true" }, draw("path", shape));
  return make("span", { class: "legend" }, sample, name);
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const round = (number) => Math.round(number * 10) / 10;
