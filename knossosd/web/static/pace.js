// How long the whole will still take, judged by how it went lately.

const WINDOW = 30; // seconds
const ENOUGH = 3; // seconds after which a guess is better than none

export class Pace {
  #samples = [];

  // At the time `now` (seconds), the fraction `done` is done.
  note(done, now) {
    if (this.#samples.length && done < this.#samples.at(-1).done) this.#samples = []; // it began again
    this.#samples.push({ done, now });
    while (this.#samples.length > 2 && now - this.#samples[0].now > WINDOW) this.#samples.shift();
  }

  // Seconds, or null when nobody can say.
  get left() {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || last.now - first.now < ENOUGH || last.done <= first.done) return null;
    return ((1 - last.done) * (last.now - first.now)) / (last.done - first.done);
  }
}
