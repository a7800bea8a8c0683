"""Event streams: answers of HTTP that go on, in the form that browsers know as `text/event-stream`.

A stream always has the newest of each thing to say, and nothing older: a reader who is slow misses what was in between,
and costs no more than one who is quick.
"""

from collections.abc import Iterator
from weakref import WeakSet

from gevent.event import Event as Signal

SILENCE = 5.0
"""Seconds after which a reader hears that nothing has happened, so that both sides notice when the other is gone."""

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "Connection": "close",  # whoever comes back after the end comes to a server that goes on
    "X-Accel-Buffering": "no",  # nginx would collect what should be seen at once
}

_open: WeakSet["EventStream"] = WeakSet()
"""Every stream of this process."""


class EventStream:
    """What one reader gets to see."""

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}
        self._is_news = Signal()
        self._has_ended = False
        _open.add(self)

    def show(self, name: str, text: str) -> None:
        """Say that `name` is now `text`, which has one line. Waits for nobody."""
        self._waiting[name] = text
        self._is_news.set()

    def end(self) -> None:
        """Say nothing more. The reader may come again."""
        self._has_ended = True
        self._is_news.set()

    def pieces(self) -> Iterator[bytes]:
        """The body of the answer, until the stream ends or the reader leaves."""
        while not self._has_ended:
            yield self._taken() or b":\n\n"
            self._is_news.wait(SILENCE)
            self._is_news.clear()

    def _taken(self) -> bytes:
        waiting, self._waiting = self._waiting, {}
        return "".join(f"event: {name}\ndata: {text}\n\n" for name, text in waiting.items()).encode()


def end_all() -> None:
    """End every stream, as `EventStream.end` does."""
    for stream in list(_open):
        stream.end()
