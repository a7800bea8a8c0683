// An event stream that is read with the key in a header, which EventSource cannot send, and that comes back by itself:
// after the server was restarted, the network was gone, or the computer slept.

import { answerOf, Refused } from "./refusals.js";
import * as session from "./session.js";

const SILENCE = 15000; // the server says something every five seconds
const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 15000;

// `heard` is called with the name and the value of each event; `became` with "live", with "lost" and why, if the server
// says that, or with "denied" when it does not know the key, which ends it.
export class EventStream {
  constructor(path, { heard, became }) {
    Object.assign(this, { path, heard, became });
    this.stopped = new AbortController();
  }

  open() {
    this.close();
    this.stopped = new AbortController();
    this.goOn(this.stopped.signal);
  }

  close() {
    this.stopped.abort();
  }

  async goOn(stopped) {
    let pause = FIRST_PAUSE;
    while (!stopped.aborted) {
      const outcome = await this.read(stopped);
      if (stopped.aborted) return;
      if (outcome === "denied") return this.became("denied");
      this.became("lost", this.reason);
      if (outcome === "ended") pause = FIRST_PAUSE;
      await aWhile(Math.max(pause * (0.5 + Math.random()), this.wait));
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  // Reads until the end: "ended" when there was something, "failed" when not, "denied".
  async read(stopped) {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    let patience = setTimeout(abort, SILENCE);
    stopped.addEventListener("abort", abort);
    let outcome = "failed";
    this.reason = undefined;
    this.wait = 0;
    try {
      const response = await fetch(this.path, { ...session.withKey(), cache: "no-store", signal: attempt.signal });
      if (response.status === 401) return "denied";
      if (!response.ok) await answerOf(response);
      for await (const events of eventsOf(response.body)) {
        clearTimeout(patience);
        patience = setTimeout(abort, SILENCE);
        if (outcome === "failed") this.became("live");
        outcome = "ended";
        for (const [name, value] of events) this.heard(name, value);
      }
    } catch (error) {
      if (error instanceof Refused) [this.reason, this.wait] = [error.message, 1000 * error.after];
      else if (!isOfTheNetwork(error)) throw error;
    } finally {
      clearTimeout(patience);
      stopped.removeEventListener("abort", abort);
    }
    return outcome;
  }
}

// What a body says, as lists of [name, value]; an empty list is a sign of life.
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    yield parts.filter((part) => part.startsWith("event: ")).map(parsed);
  }
}

function parsed(part) {
  const [name, data] = part.split("\n", 2);
  return [name.slice("event: ".length), JSON.parse(data.slice("data: ".length))];
}

// A proxy in front of the server may answer anything in its place.
const isOfTheNetwork = (error) => error.name === "AbortError" || error instanceof TypeError || error instanceof SyntaxError;

// So long, or less when the network is back or somebody looks again.
function aWhile(milliseconds) {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      removeEventListener("online", go);
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    const look = () => document.hidden || go();
    const timer = setTimeout(go, milliseconds);
    addEventListener("online", go);
    document.addEventListener("visibilitychange", look);
  });
}
