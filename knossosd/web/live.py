"""Watching a ticket: the WebSocket routes of the original server.

Every message is a JSON array `[event, [arguments…]]`. Kept events carry their id as a third element; a client that
comes back says it with `?after=<id>` and gets what stands behind it. Messages without an id (progress) are not kept,
so the last id that a client has seen is always one that it can come back with.
"""

import json
import logging
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import bottle
import redis
from bottle import HTTPResponse, request

from knossosd.settings import Settings
from knossosd.tickets import questions
from knossosd.tickets.events import BEGINNING, Batch, Now, order_of
from knossosd.tickets.record import State
from knossosd.web.feed import Feed
from knossosd.web.lookup import Lookup
from knossosd.web.socket import NORMAL, TRY_AGAIN, Closed, LiveSocket, text_frame

log = logging.getLogger(__name__)


def install(app: bottle.Bottle, settings: Settings, lookup: Lookup, feed: Feed) -> None:
    """Add the routes `/ws/watcher/<ticket>`, which only shows, and `/ws/inter/<ticket>`, which also takes answers."""

    def serve(ticket: int, *, interactive: bool) -> Any:
        return _serve(ticket, settings, lookup, feed, interactive=interactive)

    app.get("/ws/watcher/<ticket:int>", callback=partial(serve, interactive=False))
    app.get("/ws/inter/<ticket:int>", callback=partial(serve, interactive=True))


def _serve(ticket: int, settings: Settings, lookup: Lookup, feed: Feed, *, interactive: bool) -> Any:
    websocket = request.environ.get("wsgi.websocket")
    if websocket is None:
        return HTTPResponse("This address is for WebSockets.", 426, {"Upgrade": "websocket"})
    socket = LiveSocket(websocket, settings.ping_interval)
    try:
        _Viewer(ticket, lookup, feed, socket, interactive).run(_after(request.query.get("after", "")))
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

    def __init__(self, ticket: int, lookup: Lookup, feed: Feed, socket: LiveSocket, interactive: bool) -> None:
        self._ticket = ticket
        self._lookup = lookup
        self._feed = feed
        self._socket = socket
        self._interactive = interactive
        self._captcha: str | None = None

    def run(self, after: str) -> None:
        found = self._lookup.find(self._ticket)
        if found is None:
            self._socket.offer(_message("task_status", "missing"))
            self._socket.offer(_message("log_message", "The requested task is missing!"))
            self._socket.close(NORMAL)
            return
        if found.ticket.state is State.WAITING and after == BEGINNING:
            self._socket.offer(_message("log_message", "The task is queued, please wait..."))
        with self._feed.watching(self._ticket, self, after):
            while True:
                self._take(self._socket.receive())

    def replay(self, past: Batch) -> None:
        self._socket.offer(_written(past))
        self._socket.flush()

    def show(self, batch: Batch) -> None:
        self._offer(_written(batch))

    def show_now(self, now: Now) -> None:
        self._offer(_written_now(now))
        if self._interactive and now.captcha != self._captcha:
            self._offer(_message("captcha", now.captcha) if now.captcha else _message("captcha_over"))
        self._captcha = now.captcha

    def _offer(self, frames: bytes) -> None:
        """A socket that is closed, or too slow and closed for it, is noticed by the greenlet that reads from it."""
        with suppress(Closed):
            self._socket.offer(frames)

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
                questions.answer(self._feed.client, self._ticket, answer)


# A thousand watchers of one ticket get the same, one after the other: it is written once, down to the frames.
@lru_cache(maxsize=1)
def _written(batch: Batch) -> bytes:
    return b"".join(text_frame(f'["{one.name}", {one.json}, "{one.id}"]'.encode()) for one in batch.events)


@lru_cache(maxsize=1)
def _written_now(now: Now) -> bytes:
    files = (_message("file", file) for file in now.files)
    return b"".join([_message("progress", now.progress, now.text), *files])


def _message(name: str, *arguments: Any) -> bytes:
    return text_frame(json.dumps([name, list(arguments)]).encode())
