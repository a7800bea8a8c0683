// The plots of the last day.

import { Plot } from "./plot.js";
import { brief, count, timeOfDay } from "./figures.js";

const QUARTERS = 3; // slots of five minutes
const HOURS = 12;
const COUNTS = Array.from({ length: 10 }, (_, power) => [2, 4, 10].map((step) => step * 10 ** power)).flat();
const SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 14400, 36000, 86400, 172800, 604800];

export class LastDay {
  constructor(figures) {
    const scale = { steps: COUNTS, format: (value) => count(value) };
    const outcomes = ["succeeded", "failed", "cancelled"];
    this.throughput = new Plot(figures.throughput, { title: "Ended per quarter of an hour", names: outcomes, kind: "bars", ...scale });
    this.queue = new Plot(figures.queue, { title: "Most at once", names: ["waiting", "working"], kind: "lines", ...scale });
    const times = { steps: SECONDS, format: (value) => (value ? brief(value) : "0") };
    this.durations = new Plot(figures.durations, { title: "From submission to end", names: ["mean", "95 % within"], kind: "lines", ...times });
  }

  // `day` is what `/api/statistics` has. Returns how many tickets ended in it, and how many of them did not succeed.
  show({ times, step, ended, sampled, durations }) {
    const bad = times.map((_, slot) => ended.failed[slot] + ended.dead[slot]);
    const kinds = [ended.succeeded, bad, ended.cancelled];
    this.throughput.show({
      times: every(QUARTERS, times),
      step: QUARTERS * step,
      series: kinds.map((values) => grouped(QUARTERS, values, sum)),
      description: `${kinds.map((values, index) => `${count(sum(values))} ${this.throughput.names[index]}`).join(", ")} in a day.`,
      hours: hourly(times, kinds, sum),
    });
    showPeaks(this.queue, times, step, [sampled.waiting, sampled.working]);
    showPeaks(this.durations, times, step, [durations.whole.mean, durations.whole.p95]);
    return { all: sum(kinds.flat()), failed: sum(bad) };
  }
}

// Of each quarter of an hour, the highest values.
function showPeaks(plot, times, step, values) {
  plot.show({
    times: every(QUARTERS, times),
    step: QUARTERS * step,
    series: values.map((one) => grouped(QUARTERS, one, most)),
    description: peaks(plot, times, values),
    hours: hourly(times, values, most),
  });
}

// What the highest of each series was, and when.
function peaks(plot, times, series) {
  const told = series.map((values, index) => {
    const highest = most(values);
    if (highest === null) return `${plot.names[index]}: nothing is known.`;
    return `${plot.names[index]}: at most ${plot.format(highest)}, at ${timeOfDay(times[values.indexOf(highest)])}.`;
  });
  return told.join(" ");
}

// A row for each hour: its beginning, and of each series what `join` makes of its values in it.
function hourly(times, series, join) {
  const columns = series.map((values) => grouped(HOURS, values, join));
  return every(HOURS, times).map((time, index) => [time, ...columns.map((column) => column[index])]);
}

const every = (length, values) => values.filter((_, index) => index % length === 0);
const grouped = (length, values, join) => every(length, values).map((_, index) => join(values.slice(index * length, (index + 1) * length)));
const sum = (values) => values.reduce((total, value) => total + value, 0);

function most(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? Math.max(...known) : null;
}
