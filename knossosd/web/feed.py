"""One reader of events for all watchers of this web process.

A greenlet reads the streams of every ticket that is watched, and hands what is new to the watchers. A watcher first
reads what was before by itself; what comes live in the meantime is kept for it, and what it has seen is skipped. So it
sees every event once and in order, however late it came.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
import redis
from gevent.event import Event as Signal

from knossosd.tickets import events, keys
from knossosd.tickets.connection import BLOCK
from knossosd.tickets.events import BEGINNING, Event, Now, order_of

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds before the next try when Redis is away."""


class Watcher(Protocol):
    """Somebody who watches a ticket."""

    def replay(self, past: Sequence[Event]) -> None:
        """Show what was before, and return when it is shown: there may be much, and the watcher slow."""

    def show(self, event: Event) -> None:
        """Show what happens now. Must not wait: others watch, too."""

    def show_now(self, now: Now) -> None:
        """Show how far the conversion is. Must not wait."""


class _Seat:
    """A watcher's place in the feed: what it has seen already."""

    def __init__(self, watcher: Watcher, after: str) -> None:
        self._watcher = watcher
        self._seen = order_of(after)
        self._kept_back: list[Event] | None = []

    def catch_up(self, before: list[Event], now: Now | None) -> None:
        """Show what was before, and then what came live meanwhile."""
        if now:
            self._watcher.show_now(now)
        self._kept_back = before + (self._kept_back or [])
        while self._kept_back:
            pending, self._kept_back = self._kept_back, []
            self._watcher.replay([event for event in pending if self._is_new(event)])
        self._kept_back = None

    def hear(self, entry: Event | Now) -> None:
        """Show what is new."""
        if isinstance(entry, Now):
            self._watcher.show_now(entry)
        elif self._kept_back is not None:
            self._kept_back.append(entry)
        elif self._is_new(entry):
            self._watcher.show(entry)

    def _is_new(self, event: Event) -> bool:
        if event.order <= self._seen:
            return False
        self._seen = event.order
        return True


@dataclass(slots=True)
class _Channel:
    """The seats of one ticket's watchers, and how far its two streams were read."""

    cursors: dict[str, str]
    seats: list[_Seat] = field(default_factory=list)


class Feed:
    """The reader. `client` is used for reading history; the blocking read has a connection of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._channels: dict[int, _Channel] = {}
        self._changed = Signal()
        self._reader_id: int | None = None
        self._reader: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Begin to read."""
        self._reader = gevent.spawn(self._read_for_ever)

    def stop(self) -> None:
        """Stop reading."""
        if self._reader:
            self._reader.kill()

    @contextmanager
    def watching(self, ticket: int, watcher: Watcher, after: str) -> Iterator[None]:
        """Let `watcher` see everything of the ticket behind the event `after`, until the block is left."""
        if ticket not in self._channels:
            cursors = self._cursors_at_the_end(ticket)
            self._channels.setdefault(ticket, _Channel(cursors))  # another watcher may have been quicker
        channel = self._channels[ticket]
        seat = _Seat(watcher, after)
        channel.seats.append(seat)
        try:
            self._wake_reader()
            seat.catch_up(events.history(self.client, ticket, after), events.now(self.client, ticket))
            yield
        finally:
            channel.seats.remove(seat)
            if not channel.seats and self._channels.get(ticket) is channel:
                del self._channels[ticket]

    def _cursors_at_the_end(self, ticket: int) -> dict[str, str]:
        """What is already in the streams is the watchers' to catch up with."""
        cursors = {}
        for stream in (keys.events(ticket), keys.now(ticket)):
            newest: Any = self.client.xrevrange(stream, count=1)
            cursors[stream] = str(newest[0][0]) if newest else BEGINNING
        return cursors

    def _read_for_ever(self) -> None:
        while True:
            try:
                with self.client.client() as connection:  # type: ignore[no-untyped-call]
                    while True:
                        self._reader_id = connection.client_id()  # another one when Redis was away
                        self._read(connection)
            except redis.RedisError as error:
                log.warning("the events cannot be read, trying again: %s", error)
                gevent.sleep(PAUSE)
            finally:
                self._reader_id = None

    def _read(self, connection: redis.Redis) -> None:
        self._changed.clear()
        cursors = {stream: at for channel in self._channels.values() for stream, at in channel.cursors.items()}
        if not cursors:
            self._changed.wait(timeout=BLOCK)
            return
        for stream, entry_id, entry in events.wait(connection, cursors, BLOCK):
            channel = self._channels.get(keys.ticket_of(stream))
            if channel is None:
                continue
            channel.cursors[stream] = entry_id
            for seat in list(channel.seats):
                seat.hear(entry)

    def _wake_reader(self) -> None:
        """A read that blocks does not know of the new watcher's streams."""
        self._changed.set()
        if self._reader_id is not None:
            self.client.client_unblock(self._reader_id)
