// What this tab of the browser keeps until it is closed: the API key, the tokens of the tickets that it submitted, and
// the document that is being written.

const KEY = "knossosd-key";
const TOKEN = "knossosd-token-";
const DOCUMENT = "knossosd-document";

export const key = () => sessionStorage.getItem(KEY);
export function keepKey(given) {
  sessionStorage.setItem(KEY, given);
  showWhetherThereIsOne();
}
export function forgetKey() {
  sessionStorage.removeItem(KEY);
  showWhetherThereIsOne();
}
// The style sheet shows .with-key or .without-key by it. `early.js` has set it before the page was painted.
const showWhetherThereIsOne = () => document.documentElement.toggleAttribute("data-key", Boolean(key()));

export const token = (ticket) => sessionStorage.getItem(TOKEN + ticket);
export const keepToken = (ticket, given) => sessionStorage.setItem(TOKEN + ticket, given);

export const draft = () => sessionStorage.getItem(DOCUMENT) || "";
export function keepDraft(text) {
  try {
    sessionStorage.setItem(DOCUMENT, text);
  } catch {
    sessionStorage.removeItem(DOCUMENT); // it is larger than what browsers keep
  }
}

// What a `fetch` needs to bring the key. Without `omit` the browser itself would ask for a password when it is refused.
export function withKey() {
  return { credentials: "omit", headers: key() ? { Authorization: `Bearer ${key()}` } : {} };
}
