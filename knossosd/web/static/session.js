// What this tab of the browser keeps until it is closed: the API key, the tokens of the tickets that it submitted, the
// uploads that are on their way, and the document that is being written.

const KEY = "knossosd-key";
const TOKEN = "knossosd-token-";
const UPLOAD = "knossosd-upload-";
const DOCUMENT = "knossosd-document";
const HEIGHT = "knossosd-form-height";

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
// `height` is that of its form, in pixels: `early.js` keeps room for it.
export function keepDraft(text, height) {
  try {
    sessionStorage.setItem(DOCUMENT, text);
    sessionStorage.setItem(HEIGHT, height);
  } catch {
    sessionStorage.removeItem(DOCUMENT); // it is larger than what browsers keep
  }
}

// What is known of an upload in parts, { id, token }, by the name that its file has for us; null when it is not known.
export const upload = (name) => JSON.parse(sessionStorage.getItem(UPLOAD + name));
export const keepUpload = (name, about) => sessionStorage.setItem(UPLOAD + name, JSON.stringify(about));
export const forgetUpload = (name) => sessionStorage.removeItem(UPLOAD + name);

// What a `fetch` needs to bring the key. Without `omit` the browser itself would ask for a password when it is refused.
export function withKey() {
  return { credentials: "omit", headers: key() ? { Authorization: `Bearer ${key()}` } : {} };
}
