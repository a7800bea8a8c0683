"""The HTTP API of the original server, and what was added to it.

Old clients get byte for byte what they know; everything new is a further field, header or status.
"""

import hmac
import json
import logging
from collections.abc import Callable
from typing import Any

import bottle
from bottle import HTTPResponse, request

from knossosd import logs
from knossosd.faults import Code
from knossosd.repo.document import DocumentLimits, InvalidDocument, json_schema, parse
from knossosd.repo.models import Repo
from knossosd.repo.urls import check_link
from knossosd.settings import Settings
from knossosd.tickets.record import State, Ticket
from knossosd.tickets.store import Tickets
from knossosd.web.access import is_key, offered_key
from knossosd.web.forms import FormError, FormTooLarge, read_form

log = logging.getLogger(__name__)

SPARE = 64 * 1024
"""Bytes of a request besides the document."""

ESCAPED = 3
"""A urlencoded document is up to three times as long as the document."""

MAX_TITLE = 200

Wake = Callable[[int], None]


def install(app: bottle.Bottle, settings: Settings, tickets: Tickets, wake: Wake) -> None:
    """Add the routes. `wake` tells a worker that a ticket waits."""
    api = _Api(settings, tickets, wake)
    app.post("/api/converter/request", callback=api.request)
    app.get("/api/converter/get_status/<ticket:int>", callback=api.get_status)
    app.post("/api/converter/retrieve", callback=api.retrieve)
    app.get("/api/list_tasks", callback=api.list_tasks)
    app.get("/schema.json", callback=api.schema)


class _Api:
    def __init__(self, settings: Settings, tickets: Tickets, wake: Wake) -> None:
        self.settings = settings
        self.tickets = tickets
        self.wake = wake
        self.limits = DocumentLimits.from_settings(settings)

    def request(self) -> Any:
        """Submit a document: fields `passwd` (or the key in `Authorization`), `data` and, if wanted, `webhook`, and
        `no_cache` to have everything fetched and read anew."""
        try:
            form = read_form(request.environ, self.settings.max_document_size * ESCAPED + SPARE)
        except FormTooLarge as error:
            return _rejected(413, _refusal(str(error)), close=True)
        except FormError as error:
            return _refusal(str(error))
        key = form.get("passwd") or offered_key(request.environ)
        if not is_key(key if isinstance(key, str) else None, self.settings.api_keys):
            return HTTPResponse("Access denied", 403)
        webhook = form.get("webhook") or None
        if problem := _webhook_problem(webhook):
            return _refusal(problem)
        document = _document_text(form.get("data"))
        try:
            reading = parse(document, self.limits)
        except InvalidDocument as fault:
            refusal = _refusal(fault.finding.message, [problem.as_json() for problem in fault.problems])
            return _rejected(413, refusal) if fault.finding.code is Code.DOCUMENT_TOO_LARGE else refusal
        receipt = self.tickets.create(
            document, title=_title(reading.repo), webhook=webhook, use_cache=not _is_on(form.get("no_cache"))
        )
        logs.ticket.set(receipt.ticket)
        try:
            self.wake(receipt.ticket)
        except BaseException:
            self.tickets.remove(receipt.ticket)
            raise
        log.info("ticket %d was submitted: %s", receipt.ticket, _title(reading.repo))
        return {"ticket": receipt.ticket, "token": receipt.token}

    def get_status(self, ticket: int) -> Any:
        """How a ticket is doing. Whoever knows the number may ask."""
        found = self.tickets.get(ticket)
        if found is None:
            return _rejected(404, {"error": True, "message": "There is no such ticket (any more)."})
        status = _status(found)
        if found.state is State.WAITING:
            status["position"] = self.tickets.position(ticket)
        return status

    def retrieve(self) -> Any:
        """The generated document, for whoever has the ticket's token. It stays until its lifetime ends."""
        try:
            form = read_form(request.environ, SPARE)
        except FormTooLarge as error:
            return _rejected(413, {"error": True, "message": str(error)}, close=True)
        except FormError:
            form = {}
        number = str(form.get("ticket", ""))
        found = self.tickets.get(int(number)) if number.isascii() and number.isdecimal() else None
        if found is None:
            return {"json": None, "success": False, "finished": True, "found": False}
        logs.ticket.set(found.number)
        if not hmac.compare_digest(str(form.get("token", "")).encode(), found.token.encode()):
            return HTTPResponse("Failed to validate token!", 403)
        if found.state is not State.DONE:
            return {"json": None, "success": False, "finished": False, "found": True}
        return {
            "json": self.tickets.result(found.number) if found.success else None,
            "success": found.success,
            "finished": True,
            "found": True,
            "errors": list(found.errors),
            "warnings": list(found.warnings),
        }

    def list_tasks(self) -> Any:
        """Every ticket and how it is doing, for operators."""
        if not self.settings.open_monitor and not is_key(offered_key(request.environ), self.settings.api_keys):
            return HTTPResponse("Access denied", 401, {"WWW-Authenticate": 'Basic realm="knossosd"'})
        now = self.tickets.now()
        return {
            str(ticket.number): {**_status(ticket), "title": ticket.title, "age": round(now - ticket.created, 3)}
            for ticket in self.tickets.all()
        }

    def schema(self) -> Any:
        """The JSON Schema of a repo document."""
        bottle.response.content_type = "application/schema+json"
        return json.dumps(json_schema(), indent=2)


def _is_on(value: Any) -> bool:
    """Whether a field that says yes or no says yes, in a form or in JSON."""
    return value is True or (isinstance(value, str) and value.lower() in ("1", "true", "yes", "on"))


def _status(ticket: Ticket) -> dict[str, Any]:
    status: dict[str, Any] = {"state": ticket.state.value, "time": ticket.time}
    if ticket.state is State.DONE:
        status |= {"runtime": ticket.runtime, "success": ticket.success}
    return {**status, "progress": ticket.progress, "text": ticket.text, "attempt": ticket.attempt}


def _refusal(message: str, problems: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """What the original answered to a document that it could not read, with the reasons."""
    errors = problems or [{"path": "", "message": message}]
    return {"ticket": None, "token": None, "error": True, "message": message, "errors": errors}


def _rejected(status: int, body: dict[str, Any], *, close: bool = False) -> HTTPResponse:
    headers = {"Connection": "close"} if close else {}
    return HTTPResponse(json.dumps(body), status, {"Content-Type": "application/json", **headers})


def _webhook_problem(webhook: Any) -> str | None:
    if webhook is None:
        return None
    if not isinstance(webhook, str):
        return "webhook: must be text"
    try:
        check_link(webhook)
    except ValueError as error:
        return f"webhook: {error}"
    return None


def _document_text(data: Any) -> str:
    return data if isinstance(data, str) else "" if data is None else json.dumps(data)


def _title(repo: Repo) -> str:
    return ", ".join(f"{mod.title} {mod.version}" for mod in repo.mods)[:MAX_TITLE]
