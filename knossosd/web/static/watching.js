// The page /watch/<ticket>.

import "./address.js";
import * as session from "./session.js";
import { watch } from "./watch.js";

const live = document.querySelector("#live");
const { ticket } = live.dataset;
watch(live, { ticket, token: session.token(ticket) });
