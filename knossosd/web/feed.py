"""One reader of events for all watchers of this web process.

A greenlet reads the streams of every ticket that is watched, and hands what is new to the watchers. A watcher first
reads what was before by itself; what comes live in the meantime is kept for it, and what it has seen is skipped. So it
sees every event once and in order, however late it came.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
import redis
from gevent.event import Event as Signal

from knossosd.tickets import events, keys
from knossosd.tickets.connection import BLOCK
from knossosd.tickets.events import BEGINNING, Event, Now, order_of

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds before the next try when Redis is away."""


class Watcher:
    """Somebody who watches `ticket`: `on_event` gets kept events, `on_now` the newest progress."""

    def __init__(self, ticket: int, on_event: Callable[[Event], None], on_now: Callable[[Now], None]) -> None:
        self.ticket = ticket
        self._on_event = on_event
        self._on_now = on_now
        self._seen = order_of(BEGINNING)
        self._kept_back: list[Event] | None = []

    def catch_up(self, client: redis.Redis, after: str) -> None:
        """Get everything behind the event `after`, then what came live meanwhile."""
        self._seen = order_of(after)
        for event in events.history(client, self.ticket, after):
            self._deliver(event)
        if current := events.now(client, self.ticket):
            self._on_now(current)
        kept_back, self._kept_back = self._kept_back or [], None
        for event in kept_back:
            self._deliver(event)

    def hear(self, entry: Event | Now) -> None:
        """Get what is new."""
        if isinstance(entry, Now):
            self._on_now(entry)
        elif self._kept_back is not None:
            self._kept_back.append(entry)
        else:
            self._deliver(entry)

    def _deliver(self, event: Event) -> None:
        if event.order > self._seen:
            self._seen = event.order
            self._on_event(event)


@dataclass(slots=True)
class _Channel:
    """The watchers of one ticket, and how far its two streams were read."""

    cursors: dict[str, str]
    watchers: list[Watcher] = field(default_factory=list)


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

    def watch(self, watcher: Watcher, after: str) -> None:
        """Let `watcher` see everything behind the event `after`, now and from now on, until `leave`."""
        channel = self._channels.get(watcher.ticket)
        if channel is None:
            channel = _Channel(self._cursors_at_the_end(watcher.ticket))
            channel = self._channels.setdefault(watcher.ticket, channel)
        channel.watchers.append(watcher)
        self._wake_reader()
        watcher.catch_up(self.client, after)

    def leave(self, watcher: Watcher) -> None:
        """Stop showing anything to `watcher`."""
        channel = self._channels.get(watcher.ticket)
        if channel and watcher in channel.watchers:
            channel.watchers.remove(watcher)
            if not channel.watchers:
                del self._channels[watcher.ticket]

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
                    self._reader_id = connection.client_id()
                    while True:
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
            for watcher in list(channel.watchers):
                watcher.hear(entry)

    def _wake_reader(self) -> None:
        """A read that blocks does not know of the new watcher's streams."""
        self._changed.set()
        if self._reader_id is not None:
            self.client.client_unblock(self._reader_id)
