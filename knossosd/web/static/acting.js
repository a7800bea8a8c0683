// What operators do to tickets and webhooks, and what came of it.

import { confirm } from "./confirm.js";
import { make, say } from "./dom.js";
import { answerOf, Refused } from "./refusals.js";
import * as session from "./session.js";

const SHOWN_FOR = 8000;

let silence;

// A button that does something `to` a thing by way of the API. What cannot be undone comes with the `question` to be
// answered before: what is asked, what will happen, and what the button says that does it.
export function deed(label, to, path, question = null) {
  const press = async () => {
    if (question && !(await confirm(...question))) return;
    button.disabled = true;
    tell(`${label} ${to}: ${await outcome(path)}`);
    button.disabled = false;
  };
  const look = { type: "button", class: "btn btn-sm btn-outline-secondary", "aria-label": `${label} ${to}` };
  const button = make("button", { ...look, onclick: press }, label);
  return button;
}

async function outcome(path) {
  try {
    const answer = await answerOf(await fetch(path, { method: "POST", ...session.withKey() }));
    return answer.done ? "done." : "there was nothing to do.";
  } catch (error) {
    if (error instanceof Refused) return error.status === 401 ? "this API key may not do that." : error.message;
    return "the server could not be reached, and may not have done it.";
  }
}

// Say something in the corner, for a while.
function tell(text) {
  const said = document.querySelector("#said");
  say(said, text);
  clearTimeout(silence);
  silence = setTimeout(() => say(said, ""), SHOWN_FOR);
}
