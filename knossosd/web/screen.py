"""`/api/monitor`: what goes on, for operators, as it goes on.

The key comes in `Authorization`, as everywhere, and never in a link. That is why this is a stream over HTTP and no
WebSocket: browsers let a page send that header with the one and not with the other. No page of another site can read
the answer, and none may ask for it.
"""

import json
from collections.abc import Callable, Iterator

import bottle
from bottle import HTTPResponse, request

from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.connection import connect_once
from knossosd.web import streaming
from knossosd.web.access import is_foreign, offered_key
from knossosd.web.answers import denied, foreign
from knossosd.web.disk import Disk
from knossosd.web.overview import Overview
from knossosd.web.sections import FOR_OPERATORS, Sections
from knossosd.web.statistics import Day
from knossosd.web.streaming import EventStream


def install(app: bottle.Bottle, settings: Settings, keyring: Keyring, day: Day, disk: Disk) -> None:
    """Add the route."""
    client = connect_once(settings, "monitor")
    overview = Overview(client, Sections(client, settings, day, disk))

    def stream() -> HTTPResponse:
        if is_foreign(request.environ):
            return foreign()
        offered = offered_key(request.environ)
        screen = _Screen(lambda: keyring.find(offered, Scope.MONITOR) is not None, settings.open_monitor)
        if not screen.may_look():
            return denied()
        return HTTPResponse(screen.shown(overview), 200, streaming.HEADERS)

    app.get("/api/monitor", callback=stream)


class _Screen:
    """What one operator sees, as long as the key is good; in an open monitor, what everybody sees."""

    def __init__(self, has_key: Callable[[], bool], is_open: bool) -> None:
        self._has_key = has_key
        self._is_open = is_open
        self._stream = EventStream()

    def may_look(self) -> bool:
        return self._is_open or self._has_key()

    def shown(self, overview: Overview) -> Iterator[bytes]:
        """The body of the answer."""
        self._stream.show("you", json.dumps({"operator": self._has_key()}))
        with overview.shown_to(self):
            yield from self._stream.pieces()

    def show(self, name: str, text: str) -> None:
        if not self.may_look():  # the key was revoked meanwhile
            self._stream.end()
        elif name not in FOR_OPERATORS or self._has_key():
            self._stream.show(name, text)
