"""The shapes of answers that several routes give."""

import json
from typing import Any

from bottle import HTTPResponse

from knossosd.tickets.record import State, Ticket


def status_of(ticket: Ticket) -> dict[str, Any]:
    """How a ticket is doing, as `get_status` and `list_tasks` say it."""
    status: dict[str, Any] = {"state": ticket.state.value, "time": ticket.time}
    if ticket.state is State.DONE:
        status |= {"runtime": ticket.runtime, "success": ticket.success}
    return {**status, "progress": ticket.progress, "text": ticket.text, "attempt": ticket.attempt}


def refused(status: int, message: str, **headers: str) -> HTTPResponse:
    """A refusal, with `headers` named as keywords are."""
    return json_answer(status, {"error": True, "message": message}, **headers)


def denied() -> HTTPResponse:
    """What operators see who have not said their key; browsers then ask for it."""
    return HTTPResponse("Access denied", 401, {"WWW-Authenticate": 'Basic realm="knossosd"'})


class NoGuess(HTTPResponse):  # type: ignore[misc, unused-ignore]
    """A refusal that says nothing of the key or token that came along, and is not held against who sent it."""


def foreign() -> HTTPResponse:
    """What pages of other sites get of what is for operators. Browsers ask in the name of people who know nothing of
    it."""
    message = {"error": True, "message": "This cannot be asked for by a page of another site."}
    return NoGuess(json.dumps(message), 403, {"Content-Type": "application/json"})


def json_answer(status: int, body: dict[str, Any], **headers: str) -> HTTPResponse:
    """A JSON answer with another status than 200."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPResponse(json.dumps(body), status, {"Content-Type": "application/json", **named})
