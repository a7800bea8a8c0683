// A request whose body takes a while: fetch tells nothing of how far it is.

import { Refused } from "./refusals.js";

// Nobody answered: the network is gone, or the server.
export class Unreachable extends Error {}

// Resolves with what the answer says. `progress` is called with how many bytes of the body went. Throws `Refused`,
// `Unreachable`, or the reason of `signal`.
export function send(method, path, { body, key, signal, progress = () => {} }) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.upload.onprogress = ({ loaded }) => progress(loaded);
    request.onload = () => {
      const answer = read(request.responseText);
      const { status } = request;
      if (status === 200 && answer) resolve(answer);
      else reject(new Refused(status, answer?.message, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new Unreachable("The upload broke off."));
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.open(method, path);
    request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.send(body);
  });
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy in between answered in its own way
  }
}
