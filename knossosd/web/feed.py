"""One reader of events for all watchers of this web process.

Redis tells which ticket's stream has something new; a greenlet listens to that, and another reads those streams, if
anybody here watches them, and hands what is new to the watchers. So an event costs nothing for the tickets that it is
not about, and what comes while the reader is busy is read in one go.

A watcher first reads what was before by itself; what comes live in the meantime is kept for it, and what it has seen is
skipped. So it sees every event once and in order, however late it came.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import gevent
import redis
from gevent.event import Event as Signal

from knossosd.tickets import events, keys
from knossosd.tickets.connection import BLOCK
from knossosd.tickets.events import Batch, Now, Past, order_of

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds before the next try when Redis is away."""


class Watcher(Protocol):
    """Somebody who watches a ticket."""

    def replay(self, past: Batch) -> None:
        """Show what was before, and return when it is shown: there may be much, and the watcher slow."""

    def show(self, batch: Batch) -> None:
        """Show what happens now. Must not wait: others watch, too."""

    def show_now(self, now: Now) -> None:
        """Show how far the conversion is. Must not wait."""


class _Seat:
    """A watcher's place in the feed: what it has seen already."""

    def __init__(self, watcher: Watcher, after: str) -> None:
        self._watcher = watcher
        self._seen = order_of(after)
        self._kept_back: list[Batch] | None = []

    def catch_up(self, past: Past) -> None:
        """Show what was before, and then what came live meanwhile."""
        if past.now:
            self._watcher.show_now(past.now)
        self._kept_back = Batch.many(past.events) + (self._kept_back or [])
        while self._kept_back:
            pending, self._kept_back = self._kept_back, []
            for batch in pending:
                self._see(batch, self._watcher.replay)
        self._kept_back = None

    def hear(self, news: Batch | Now) -> None:
        """Show what is new."""
        if isinstance(news, Now):
            self._watcher.show_now(news)
        elif self._kept_back is not None:
            self._kept_back.append(news)
        else:
            self._see(news, self._watcher.show)

    def _see(self, batch: Batch, show: Callable[[Batch], None]) -> None:
        unseen = batch.behind(self._seen)
        if unseen:
            self._seen = unseen.last
            show(unseen)


@dataclass(slots=True)
class _Channel:
    """The seats of one ticket's watchers, and how far its two streams were read."""

    cursors: dict[str, str]
    seats: list[_Seat] = field(default_factory=list)


class Feed:
    """The reader of one process, over `client`. News is heard of over `listener`."""

    def __init__(self, client: redis.Redis, listener: redis.Redis) -> None:
        self.client = client
        self._listener = listener
        self._channels: dict[int, _Channel] = {}
        self._news: set[str] = set()
        self._is_news = Signal()
        self._greenlets: list[gevent.Greenlet[[Callable[[], None]], None]] = []

    @property
    def watchers(self) -> int:
        """How many watch through this process."""
        return sum(len(channel.seats) for channel in self._channels.values())

    def start(self) -> None:
        """Begin to listen and to read."""
        self._greenlets = [gevent.spawn(self._for_ever, self._listen), gevent.spawn(self._for_ever, self._read)]

    def stop(self) -> None:
        """Stop reading."""
        gevent.killall(self._greenlets)

    @contextmanager
    def watching(self, ticket: int, watcher: Watcher, after: str) -> Iterator[None]:
        """Let `watcher` see everything of the ticket behind the event `after`, until the block is left."""
        if ticket not in self._channels:
            cursors = events.ends(self.client, ticket)  # what was before is for the watchers to catch up with
            self._channels.setdefault(ticket, _Channel(cursors))  # another watcher may have been quicker
            self._note(cursors)  # what came in between was news for nobody
        channel = self._channels[ticket]
        seat = _Seat(watcher, after)
        channel.seats.append(seat)
        try:
            seat.catch_up(events.past(self.client, ticket, after))
            yield
        finally:
            channel.seats.remove(seat)
            if not channel.seats and self._channels.get(ticket) is channel:
                del self._channels[ticket]

    def _for_ever(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except redis.RedisError as error:
                log.warning("the events cannot be read, trying again: %s", error)
            except Exception:  # the border of the greenlet: without it, nobody here would see anything any more
                log.exception("the events cannot be read, trying again")
            gevent.sleep(PAUSE)

    def _listen(self) -> None:
        with self._listener.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(keys.NEWS)
            while True:
                match subscription.get_message(timeout=BLOCK):
                    case {"type": "message", "data": stream}:
                        self._note([stream])
                    case {"type": "subscribe"}:  # also when the connection was lost, and news with it
                        self._note(stream for channel in self._channels.values() for stream in channel.cursors)

    def _note(self, streams: Iterable[str]) -> None:
        self._news.update(streams)
        self._is_news.set()

    def _read(self) -> None:
        while True:
            self._is_news.wait()
            self._is_news.clear()
            streams, self._news = self._news, set()
            try:
                self._hand_out(streams)
            except redis.RedisError:
                self._note(streams)
                raise

    def _hand_out(self, streams: Iterable[str]) -> None:
        channels = {one: channel for one in streams if (channel := self._channel_of(one))}
        if not channels:
            return
        cursors = {stream: channel.cursors[stream] for stream, channel in channels.items()}
        for news in events.behind(self.client, cursors):
            channel = channels[news.stream]
            channel.cursors[news.stream] = news.last
            if news.told:
                for seat in list(channel.seats):
                    seat.hear(news.told)
            if news.more:
                self._note([news.stream])

    def _channel_of(self, stream: str) -> _Channel | None:
        ticket = keys.ticket_of(stream)
        return None if ticket is None else self._channels.get(ticket)
