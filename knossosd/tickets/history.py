"""How the latest tickets ended, for operators: remembered for longer than the tickets themselves.

Of those that succeeded and of those that did not, the latest few each, so that no crowd of good ones hides what went
wrong. An entry is written in the very step that ends its ticket; it goes when that is removed, or tried again.
"""

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self, cast

import redis

from knossosd.faults import Finding
from knossosd.tickets import keys
from knossosd.tickets.understanding import understood

KEPT_ERRORS = 3
"""Errors of one ticket that are remembered: there may be thousands, and the first ones say enough."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One ticket that has ended, at `time`, after `runtime` seconds of conversion. Times are epoch seconds.

    `errors` are the first of `error_count`, findings as JSON objects. `is_dead` if it failed through no fault of the
    mod's. After the time `until`, nothing but this entry is left of the ticket.
    """

    number: int
    title: str
    time: float
    runtime: float
    until: float
    success: bool
    errors: tuple[dict[str, str], ...]
    error_count: int
    is_dead: bool

    @classmethod
    def from_json(cls, number: int, text: str) -> Self | None:
        """The entry that the script has written; None when nobody here understands it."""
        return understood(f"how ticket {number} ended", lambda: cls._read(number, text))

    @classmethod
    def _read(cls, number: int, text: str) -> Self:
        title, time, runtime, until, success, noted, *_ = json.loads(text)
        said: dict[str, Any] = json.loads(noted)
        return cls(
            number=number,
            title=title,
            time=float(time),
            runtime=runtime,
            until=until,
            success=success == "1",
            errors=tuple(said["errors"]),
            error_count=said["count"],
            is_dead=said["dead"],
        )


def noted(errors: tuple[Finding, ...], *, is_dead: bool) -> str:
    """What the script is to note of a ticket's errors."""
    first = [error.as_json() for error in islice(errors, KEPT_ERRORS)]
    return json.dumps({"errors": first, "count": len(errors), "dead": is_dead})


def latest(client: redis.Redis) -> list[Entry]:
    """All entries, the latest first."""
    with client.pipeline(transaction=False) as pipe:
        for index in (keys.SUCCEEDED, keys.FAILED):
            pipe.zrange(index, 0, -1)
        succeeded, failed = cast(list[list[str]], pipe.execute())
    numbers = [*succeeded, *failed]
    texts = cast(list[str | None], client.hmget(keys.OUTCOMES, numbers)) if numbers else []
    entries = (Entry.from_json(int(number), text) for number, text in zip(numbers, texts, strict=True) if text)
    return sorted((entry for entry in entries if entry), key=lambda entry: entry.time, reverse=True)


def forget(pipe: Any, number: int) -> None:
    """Forget the entry of a ticket, as a part of what `pipe` does."""
    pipe.hdel(keys.OUTCOMES, str(number))
    for index in (keys.SUCCEEDED, keys.FAILED):
        pipe.zrem(index, str(number))
