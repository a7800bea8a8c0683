// What the server's API says and does about one ticket.

import { answerOf } from "./refusals.js";

// {state, position?, title, success?, runtime?}; null when there is no such ticket (any more).
export async function statusOf(ticket) {
  const response = await fetch(`/api/converter/get_status/${ticket}`);
  if (response.status === 404) return null;
  return answerOf(response);
}

// {json, success, errors, warnings}; null when the token is not the ticket's.
export function retrieve(ticket, token) {
  return withToken("retrieve", ticket, token);
}

// Call the conversion off: {cancelled}; null when the token is not the ticket's.
export function cancel(ticket, token) {
  return withToken("cancel", ticket, token);
}

async function withToken(action, ticket, token) {
  const body = new URLSearchParams({ ticket, token });
  const response = await fetch(`/api/converter/${action}`, { method: "POST", body });
  return response.status === 403 ? null : answerOf(response);
}
