"""The events of a ticket: one Redis stream that late and live watchers read alike.

What every watcher must see (log lines, finished files, the end) is kept in the stream of events, and a watcher that
comes back asks for what stands behind the id it last saw. How far the conversion is *now* is a stream of one entry:
only the newest value is ever worth reading.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

from knossosd.tickets import keys

BATCH = 200
"""Entries of one stream that are read at once, so that readers of a flood get their turn in between."""

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
class Now:
    """How far a conversion is: `files` are the archives being worked on, as the `file` event has them.

    `captcha` is the URL of the image that waits for an answer.
    """

    progress: float
    text: str
    files: tuple[dict[str, Any], ...]
    captcha: str | None


def order_of(event_id: str) -> tuple[int, int]:
    """What stream ids (`<milliseconds>-<number>`, the number may be missing) compare by. Raises ValueError."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def history(client: redis.Redis, ticket: int, after: str = BEGINNING) -> list[Event]:
    """All events of the ticket behind the id `after`, oldest first."""
    entries = cast(list[Any], client.xrange(keys.events(ticket), min=f"({after}"))
    return [_event(event_id, fields) for event_id, fields in entries]


def now(client: redis.Redis, ticket: int) -> Now | None:
    """How far the ticket is; None before a worker has begun."""
    entries = cast(list[Any], client.xrevrange(keys.now(ticket), count=1))
    return _now(entries[0][1]) if entries else None


def wait(client: redis.Redis, cursors: Mapping[str, str], seconds: float) -> Iterator[tuple[str, str, Event | Now]]:
    """What is new in the streams `cursors` (key: id last seen), waiting up to `seconds` when nothing is.

    Yields the stream's key, the entry's id and the entry, in order within each stream.
    """
    streams: dict[Any, Any] = dict(cursors)
    replies = cast(Any, client.xread(streams, count=BATCH, block=int(seconds * 1000)))
    for stream, entries in replies.items() if isinstance(replies, dict) else replies:
        for entry_id, fields in entries:
            yield stream, entry_id, _event(entry_id, fields) if "event" in fields else _now(fields)


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


def _event(event_id: str, fields: dict[str, str]) -> Event:
    return Event(event_id, fields["event"], fields["arguments"])


def _now(fields: dict[str, str]) -> Now:
    return Now(float(fields["progress"]), fields["text"], tuple(json.loads(fields["files"])), fields["captcha"] or None)
