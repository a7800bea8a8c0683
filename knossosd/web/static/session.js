// What this tab of the browser keeps until it is closed: the API key, and the tokens of the tickets that it submitted.

const KEY = "knossosd-key";
const TOKEN = "knossosd-token-";

export const key = () => sessionStorage.getItem(KEY);
export const keepKey = (given) => sessionStorage.setItem(KEY, given);
export const forgetKey = () => sessionStorage.removeItem(KEY);

export const token = (ticket) => sessionStorage.getItem(TOKEN + ticket);
export const keepToken = (ticket, given) => sessionStorage.setItem(TOKEN + ticket, given);

// What a `fetch` needs to bring the key. Without `omit` the browser itself would ask for a password when it is refused.
export function withKey() {
  return { credentials: "omit", headers: key() ? { Authorization: `Bearer ${key()}` } : {} };
}
