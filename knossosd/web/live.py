"""Watching a ticket: the WebSocket routes of the original server.

Every message is a JSON array `[event, [arguments…]]`. Kept events carry their id as a third element; a client that
comes back says it with `?after=<id>` and gets what stands behind it. Messages without an id (progress) are not kept,
so the last id that a client has seen is always one that it can come back with.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import bottle
import redis
from bottle import HTTPResponse, request

from knossosd.tickets import questions
from knossosd.tickets.events import BEGINNING, Event, Now, order_of
from knossosd.tickets.record import State
from knossosd.tickets.store import Tickets
from knossosd.web.feed import Feed
from knossosd.web.socket import NORMAL, TRY_AGAIN, Closed, LiveSocket

log = logging.getLogger(__name__)


def install(app: bottle.Bottle, tickets: Tickets, feed: Feed) -> None:
    """Add the routes `/ws/watcher/<ticket>`, which only shows, and `/ws/inter/<ticket>`, which also takes answers."""
    app.get("/ws/watcher/<ticket:int>", callback=lambda ticket: _serve(ticket, tickets, feed, interactive=False))
    app.get("/ws/inter/<ticket:int>", callback=lambda ticket: _serve(ticket, tickets, feed, interactive=True))


def _serve(ticket: int, tickets: Tickets, feed: Feed, *, interactive: bool) -> Any:
    websocket = request.environ.get("wsgi.websocket")
    if websocket is None:
        return HTTPResponse("This address is for WebSockets.", 426, {"Upgrade": "websocket"})
    socket = LiveSocket(websocket)
    try:
        _Viewer(ticket, tickets, feed, socket, interactive).run(_after(request.query.get("after", "")))
    except Closed:
        pass
    except redis.RedisError as error:
        log.warning("a watcher of ticket %d was sent away: %s", ticket, error)
        socket.close(TRY_AGAIN)
    socket.wait()
    return ""


def _after(event_id: str) -> str:
    try:
        milliseconds, number = order_of(event_id)
    except ValueError:
        return BEGINNING
    within = 0 <= milliseconds < 2**63 and 0 <= number < 2**63
    return f"{milliseconds}-{number}" if within else BEGINNING


class _Viewer:
    """One watcher and its socket: a `Watcher` of the feed."""

    def __init__(self, ticket: int, tickets: Tickets, feed: Feed, socket: LiveSocket, interactive: bool) -> None:
        self._ticket = ticket
        self._tickets = tickets
        self._feed = feed
        self._socket = socket
        self._interactive = interactive
        self._captcha: str | None = None

    def run(self, after: str) -> None:
        found = self._tickets.get(self._ticket)
        if found is None:
            self._socket.send(_message("task_status", "missing"))
            self._socket.send(_message("log_message", "The requested task is missing!"))
            self._socket.close(NORMAL)
            return
        if found.state is State.WAITING and after == BEGINNING:
            self._socket.send(_message("log_message", "The task is queued, please wait..."))
        with self._feed.watching(self._ticket, self, after):
            while True:
                self._take(self._socket.receive())

    def replay(self, past: Sequence[Event]) -> None:
        for event in past:
            self._socket.send(_written(event))
        self._socket.flush()

    def show(self, event: Event) -> None:
        self._offer(_written(event))

    def show_now(self, now: Now) -> None:
        for message in _written_now(now):
            self._offer(message)
        if self._interactive and now.captcha and now.captcha != self._captcha:
            self._offer(_message("captcha", now.captcha))
        self._captcha = now.captcha

    def _offer(self, message: bytes) -> None:
        """A socket that is closed, or too slow and closed for it, is noticed by the greenlet that reads from it."""
        with suppress(Closed):
            self._socket.offer(message)

    def _take(self, text: str) -> None:
        """What a client says; what makes no sense is ignored, as it always was."""
        if not self._interactive:
            return
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return
        match message:
            case ["captcha_response", [str(answer), *_], *_]:
                questions.answer(self._tickets.client, self._ticket, answer)


# A thousand watchers of one ticket get the same message: it is written once.
@lru_cache(maxsize=256)
def _written(event: Event) -> bytes:
    return f'["{event.name}", {event.json}, "{event.id}"]'.encode()


@lru_cache(maxsize=256)
def _written_now(now: Now) -> list[bytes]:
    return [_message("progress", now.progress, now.text), *(_message("file", file) for file in now.files)]


def _message(name: str, *arguments: Any) -> bytes:
    return json.dumps([name, list(arguments)]).encode()
