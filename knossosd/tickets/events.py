"""The events of a ticket: one Redis stream that late and live watchers read alike.

What every watcher must see (log lines, finished files, the end) is kept in the stream of events, and a watcher that
comes back asks for what stands behind the id it last saw. How far the conversion is *now* is a stream of one entry:
only the newest value is ever worth reading.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self, cast

import redis

from knossosd.tickets import keys
from knossosd.tickets.understanding import understood

BATCH = 200
"""Entries of one stream that are read and written at once, so that everybody gets their turn in a flood."""

BEGINNING = "0-0"
"""The id before every event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One kept event: its id in the stream, its name and its arguments as the wire protocol has them, a JSON list."""

    id: str
    name: str
    json: str

    @property
    def arguments(self) -> list[Any]:
        """The arguments, as values."""
        arguments: list[Any] = json.loads(self.json)
        return arguments

    @property
    def order(self) -> tuple[int, int]:
        """Ids compare by this."""
        return order_of(self.id)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Kept events that were read together, at least one, in order. `first` and `last` are the order of their ids."""

    events: tuple[Event, ...]
    first: tuple[int, int]
    last: tuple[int, int]

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        return cls(tuple(events), events[0].order, events[-1].order)

    @classmethod
    def many(cls, events: Sequence[Event]) -> list[Self]:
        """Any number of events in batches of their usual size."""
        return [cls.of(events[start : start + BATCH]) for start in range(0, len(events), BATCH)]

    def behind(self, seen: tuple[int, int]) -> Self | None:
        """What is behind the order `seen`: all of it is this very batch, nothing is None."""
        if self.first > seen:
            return self
        if self.last <= seen:
            return None
        return self.of([event for event in self.events if event.order > seen])


@dataclass(frozen=True, slots=True, eq=False)
class Now:
    """How far a conversion is: `files` are the archives being worked on, as the `file` event has them.

    `captcha` is the URL of the image that waits for an answer.
    """

    progress: float
    text: str
    files: tuple[dict[str, Any], ...]
    captcha: str | None


class Past(NamedTuple):
    """All kept events, oldest first, and how far the conversion is; None before a worker has begun."""

    events: list[Event]
    now: Now | None


def order_of(event_id: str) -> tuple[int, int]:
    """What stream ids (`<milliseconds>-<number>`, the number may be missing) compare by. Raises ValueError."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def past(client: redis.Redis, ticket: int, after: str = BEGINNING) -> Past:
    """What there is to see of the ticket behind the id `after`."""
    with client.pipeline(transaction=False) as pipe:
        pipe.xrange(keys.events(ticket), min=f"({after}")
        pipe.xrevrange(keys.now(ticket), count=1)
        kept, newest = pipe.execute()
    return Past(_events(kept), _now(newest[0][1]) if newest else None)


def ends(client: redis.Redis, ticket: int) -> dict[str, str]:
    """The ids of the newest entries of the ticket's streams, by the streams' keys."""
    streams = keys.streams(ticket)
    with client.pipeline(transaction=False) as pipe:
        for stream in streams:
            pipe.xrevrange(stream, count=1)
        newest = pipe.execute()
    return {stream: entries[0][0] if entries else BEGINNING for stream, entries in zip(streams, newest, strict=True)}


class News(NamedTuple):
    """What was read of a stream: up to its entry `last`; `more` may stand behind that. None of it may be understood."""

    stream: str
    last: str
    more: bool
    told: Batch | Now | None


def behind(client: redis.Redis, cursors: Mapping[str, str]) -> Iterator[News]:
    """What stands in the streams behind `cursors` (key: id last seen), up to a `BATCH` of each."""
    streams: dict[Any, Any] = dict(cursors)
    replies = cast(Any, client.xread(streams, count=BATCH))
    for stream, entries in replies.items() if isinstance(replies, dict) else replies:
        last, fields = entries[-1]
        if keys.is_now(stream):
            yield News(stream, last, False, _now(fields))
        else:
            read = _events(entries)
            yield News(stream, last, len(entries) == BATCH, Batch.of(read) if read else None)


def encode(name: str, *arguments: Any) -> dict[str, str]:
    """The stream entry of a kept event."""
    return {"event": name, "arguments": json.dumps(arguments)}


def encode_now(current: Now) -> dict[str, str]:
    """The stream entry that says how far a conversion is."""
    return {
        "progress": repr(current.progress),
        "text": current.text,
        "files": json.dumps(current.files),
        "captcha": current.captcha or "",
    }


def _events(entries: Sequence[tuple[str, dict[str, str]]]) -> list[Event]:
    read = (understood("an event", partial(_event, *entry)) for entry in entries)
    return [event for event in read if event]


def _event(event_id: str, fields: dict[str, str]) -> Event:
    return Event(event_id, fields["event"], fields["arguments"])


def _now(fields: dict[str, str]) -> Now | None:
    return understood("how far a conversion is", partial(_read_now, fields))


def _read_now(fields: dict[str, str]) -> Now:
    return Now(float(fields["progress"]), fields["text"], tuple(json.loads(fields["files"])), fields["captcha"] or None)
