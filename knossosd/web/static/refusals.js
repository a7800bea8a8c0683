// Why the server does not do what it was asked, in words for people.

import { duration } from "./figures.js";

const MEANINGS = {
  413: "This is larger than what the server takes.",
  429: "The server was asked too often.",
  503: "The server cannot do that just now.",
  507: "There is not enough room on the server.",
};

// The server has answered, and the answer is no. The message says why; `after` so many seconds (0: nobody knows) it may
// be tried again.
export class Refused extends Error {
  // `said` is the answer's own message, if it is of this server: a proxy in between answers in its own way. `after` is
  // its header Retry-After.
  constructor(status, said, after) {
    const seconds = Number(after) || 0;
    const reason = typeof said === "string" && said ? said : MEANINGS[status] ?? `The server answered ${status}.`;
    const isSaid = !seconds || reason.includes(` ${seconds} seconds`);
    super(isSaid ? reason : `${reason} It can be tried again in ${duration(seconds)}.`);
    this.status = status;
    this.after = seconds;
  }
}

// What the answer to a `fetch` says; throws `Refused` when it is none of ours, or no.
export async function answerOf(response) {
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  throw new Refused(response.status, answer?.message, response.headers.get("Retry-After"));
}
