"""The HTTP API of the original server, and what was added to it.

Old clients get byte for byte what they know; everything new is a further field, header or status.
"""

import hmac
import json
import logging
import re
from typing import Any, NamedTuple

import bottle
import redis
from bottle import HTTPResponse, request

from knossosd import logs
from knossosd.faults import Code
from knossosd.keyring import Key, Keyring, Scope
from knossosd.repo.document import DocumentLimits, InvalidDocument, json_schema, parse
from knossosd.repo.models import Repo
from knossosd.repo.urls import check_link
from knossosd.settings import Settings
from knossosd.tickets.ending import cancel
from knossosd.tickets.record import State, Ticket
from knossosd.tickets.store import KeyReused, NotTaken, QueueFull, QuotaReached, Tickets
from knossosd.tickets.wake import Wake
from knossosd.web.access import offered_key
from knossosd.web.answers import json_answer, refused, status_of
from knossosd.web.disk import Disk
from knossosd.web.forms import FormError, FormTooLarge, read_form, whole_number
from knossosd.web.lookup import Lookup

log = logging.getLogger(__name__)

SPARE = 64 * 1024
"""Bytes of a request besides the document."""

ESCAPED = 3
"""A urlencoded document is up to three times as long as the document."""

MAX_TITLE = 200

MAX_WEBHOOK = 2000
"""Characters of a webhook's link, more than any has."""

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")

NO_ROOM = "The server's disk is full, or does not answer. Please try again later."

STATUS_OF: dict[type[NotTaken], int] = {QueueFull: 503, QuotaReached: 429, KeyReused: 409}


def install(
    app: bottle.Bottle,
    settings: Settings,
    keyring: Keyring,
    tickets: Tickets,
    lookup: Lookup,
    wake: Wake,
    disk: Disk,
) -> None:
    """Add the routes."""
    api = _Api(settings, keyring, tickets, lookup, wake, disk)
    app.post("/api/converter/request", callback=api.request, reads_body=True)
    app.post("/api/converter/check", callback=api.check, reads_body=True)
    app.get("/api/converter/get_status/<ticket:int>", callback=api.get_status)
    app.post("/api/converter/retrieve", callback=api.retrieve)
    app.post("/api/converter/cancel", callback=api.cancel)
    app.get("/schema.json", callback=api.schema)


class _Submission(NamedTuple):
    """The fields that were sent, and the key that came with them."""

    form: dict[str, Any]
    key: Key


class _Api:
    def __init__(
        self, settings: Settings, keyring: Keyring, tickets: Tickets, lookup: Lookup, wake: Wake, disk: Disk
    ) -> None:
        self.settings = settings
        self.keyring = keyring
        self.tickets = tickets
        self.lookup = lookup
        self.wake = wake
        self.disk = disk
        self.limits = DocumentLimits.from_settings(settings)
        self.json_schema = json.dumps(json_schema(), indent=2)

    def request(self) -> Any:
        """Submit a document: fields `passwd` (or the key in `Authorization`), `data` and, if wanted, `webhook`, and
        `no_cache` to have everything fetched and read anew."""
        sent = self._submission()
        if not isinstance(sent, _Submission):
            return sent
        form, key = sent
        idempotency_key = request.get_header("Idempotency-Key")
        if idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            return json_answer(
                400, _refusal("An Idempotency-Key has 1 to 255 characters, all of them printable ASCII.")
            )
        webhook = form.get("webhook") or None
        if problem := _webhook_problem(webhook):
            return _refusal(problem)
        document = _document_text(form.get("data"))
        try:
            reading = parse(document, self.limits)
        except InvalidDocument as fault:
            refusal = _refusal(fault.finding.message, [problem.as_json() for problem in fault.problems])
            return json_answer(413, refusal) if fault.finding.code is Code.DOCUMENT_TOO_LARGE else refusal
        try:
            receipt = self.tickets.create(
                document,
                title=_title(reading.repo),
                webhook=webhook,
                use_cache=not _is_on(form.get("no_cache")),
                owner=key.owner,
                idempotency_key=idempotency_key,
                obstacle=None if self.disk.has_room(self.settings.min_free_disk) else NO_ROOM,
            )
        except NotTaken as reason:
            headers = {} if isinstance(reason, KeyReused) else {"Retry_After": str(reason.after)}
            return json_answer(STATUS_OF[type(reason)], _refusal(str(reason)), **headers)
        logs.ticket.set(receipt.ticket)
        try:
            self.wake.worker(receipt.ticket)
        except redis.RedisError as error:  # the ticket waits all the same, and upkeep wakes a worker for it
            log.warning("no worker could be told of ticket %d: %s", receipt.ticket, error)
        log.info("ticket %d was submitted: %s", receipt.ticket, _title(reading.repo))
        return {"ticket": receipt.ticket, "token": receipt.token}

    def check(self) -> Any:
        """What is wrong with a document, and what a modder should know about it. Nothing is queued."""
        sent = self._submission()
        if not isinstance(sent, _Submission):
            return sent
        try:
            reading = parse(_document_text(sent.form.get("data")), self.limits)
        except InvalidDocument as fault:
            return {"valid": False, "errors": [problem.as_json() for problem in fault.problems], "warnings": []}
        return {"valid": True, "errors": [], "warnings": [warning.as_json() for warning in reading.warnings]}

    def _submission(self) -> "_Submission | Any":
        """What was sent with a key that may submit, or else the answer."""
        try:
            form = read_form(request.environ, self.settings.max_document_size * ESCAPED + SPARE)
        except FormTooLarge as error:
            return json_answer(413, _refusal(str(error)), Connection="close")
        except FormError as error:
            return _refusal(str(error))
        offered = form.get("passwd") or offered_key(request.environ)
        key = self.keyring.find(offered if isinstance(offered, str) else None, Scope.SUBMIT)
        return _Submission(form, key) if key else HTTPResponse("Access denied", 403)

    def get_status(self, ticket: int) -> Any:
        """How a ticket is doing. Whoever knows the number may ask."""
        found = self.lookup.find(ticket)
        if found is None:
            return refused(404, "There is no such ticket (any more).")
        status = {**status_of(found.ticket), "title": found.ticket.title}
        if found.ticket.state is State.WAITING:
            status["position"] = found.position
        return status

    def retrieve(self) -> Any:
        """The generated document, for whoever has the ticket's token. It stays until its lifetime ends."""
        found = self._find_with_token({"json": None, "success": False, "finished": True, "found": False})
        if not isinstance(found, Ticket):
            return found
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

    def cancel(self) -> Any:
        """Call a conversion off, for whoever has the ticket's token."""
        found = self._find_with_token({"cancelled": False, "found": False})
        if not isinstance(found, Ticket):
            return found
        ended = cancel(self.tickets, found)
        self.wake.courier([ended])
        if ended:
            log.info("ticket %d was cancelled by its submitter", found.number)
        return {"cancelled": ended is not None, "found": True}

    def _find_with_token(self, missing: dict[str, Any]) -> Ticket | Any:
        """The ticket that the form names with its token, or else the answer: `missing` when there is none."""
        try:
            form = read_form(request.environ, SPARE)
        except FormTooLarge as error:
            return refused(413, str(error), Connection="close")
        except FormError:
            form = {}
        number = whole_number(str(form.get("ticket", "")))
        found = None if number is None else self.tickets.get(number)
        if found is None:
            return missing
        logs.ticket.set(found.number)
        offered = str(form.get("token", "")).encode(errors="surrogatepass")  # JSON can escape half a letter
        if not hmac.compare_digest(offered, found.token.encode()):
            return HTTPResponse("Failed to validate token!", 403)
        return found

    def schema(self) -> Any:
        """The JSON Schema of a repo document."""
        bottle.response.content_type = "application/schema+json"
        return self.json_schema


def _is_on(value: Any) -> bool:
    """Whether a field that says yes or no says yes, in a form or in JSON."""
    return value is True or (isinstance(value, str) and value.lower() in ("1", "true", "yes", "on"))


def _refusal(message: str, problems: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """What the original answered to a document that it could not read, with the reasons."""
    errors = problems or [{"path": "", "message": message}]
    return {"ticket": None, "token": None, "error": True, "message": message, "errors": errors}


def _webhook_problem(webhook: Any) -> str | None:
    if webhook is None:
        return None
    if not isinstance(webhook, str):
        return "webhook: must be text"
    if len(webhook) > MAX_WEBHOOK:
        return f"webhook: has more than {MAX_WEBHOOK} characters"
    try:
        check_link(webhook)
    except ValueError as error:
        return f"webhook: {error}"
    return None


def _document_text(data: Any) -> str:
    return data if isinstance(data, str) else "" if data is None else json.dumps(data)


def _title(repo: Repo) -> str:
    return ", ".join(f"{mod.title} {mod.version}" for mod in repo.mods)[:MAX_TITLE]
