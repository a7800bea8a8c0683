// The page /watch/<ticket>.

import "./address.js";
import * as session from "./session.js";
import { watch } from "./watch.js";

const live = document.querySelector("#live");
const { ticket } = live.dataset;

takeToken();
watch(live, { ticket, token: session.token(ticket) });
addEventListener("hashchange", () => takeToken() && location.reload());

// A link may bring the token behind its #, which no server gets to see. It does not stay in the address either.
function takeToken() {
  const brought = location.hash.match(/^#(?:token=)?([A-Za-z0-9]{20,})$/)?.[1];
  if (!brought) return false;
  session.keepToken(ticket, brought);
  history.replaceState(history.state, "", location.pathname + location.search);
  return true;
}
