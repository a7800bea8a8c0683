"""`/api/statistics`: the last day in numbers, as a page plots them."""

from collections.abc import Sequence
from typing import Any

import bottle
from bottle import request

from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.keys import SLOT
from knossosd.tickets.measures import SUBMISSIONS, Attempt, Duration, Result, attempt_field
from knossosd.tickets.statistics import Durations, Slot, Standing, Statistics
from knossosd.web.access import key_of
from knossosd.web.answers import denied
from knossosd.web.disk import Disk

SAMPLED = ("waiting", "oldest", "working", "workers")
BYTES = ("downloaded", "inspected", "mirrored")
MOST = 0.95
"""The share of durations that is told besides their mean."""

Row = dict[str, Any]


def install(
    app: bottle.Bottle, settings: Settings, keyring: Keyring, statistics: Statistics, day: "Day", disk: Disk
) -> None:
    """Add the route."""

    def answer() -> Any:
        if not settings.open_monitor and not key_of(request.environ, keyring, Scope.MONITOR):
            return denied()
        bottle.response.set_header("Cache-Control", "no-store")
        standing = statistics.standing()
        now = {
            **standing_now(standing, disk.free()),
            "workers": [
                {"host": one.host, "pid": one.pid, "since": one.since, "ticket": one.ticket}
                for one in standing.processes
                if one.kind == "worker"
            ],
            "watchers": sum(one.watchers for one in standing.processes),
        }
        return {**day.read(), "now": now}

    app.get("/api/statistics", callback=answer)


class Day:
    """The last day. A slot that is over does not change, so it is read once."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._over: dict[int, Row] = {}

    def read(self) -> dict[str, Any]:
        """The last day as it is told: lists with one number of each slot, oldest first."""
        return {"step": SLOT, **_columns(self._rows())}

    def _rows(self) -> list[Row]:
        starts, known = self._statistics.last_day(), self._over
        missing = [start for start in starts if start not in known]
        rows = {**known, **{slot.start: _row(slot) for slot in self._statistics.slots(missing)}}
        # The last but one is over, but what was begun in its time may still be added.
        self._over = {start: rows[start] for start in starts[:-2]}
        return [rows[start] for start in starts]


def _columns(rows: Sequence[Any]) -> Any:
    """A list for each number in the rows, in the place where the rows have the number."""
    if isinstance(rows[0], dict):
        return {name: _columns([row[name] for row in rows]) for name in rows[0]}
    return rows


def _row(slot: Slot) -> Row:
    """What is told of one slot."""
    return {
        "times": slot.start,
        "submitted": _number(slot, SUBMISSIONS),
        "ended": _ended(slot),
        "webhooks": {attempt.value: _number(slot, attempt_field(attempt)) for attempt in Attempt},
        "bytes": {name: _number(slot, f"{name}_bytes") for name in BYTES},
        "sampled": {name: slot.sampled(name) for name in SAMPLED},
        "durations": {kind.value: _durations(Durations.of(kind, slot.fields)) for kind in Duration},
    }


def _number(slot: Slot, field: str) -> int:
    return round(slot.fields.get(field, 0))


def _ended(slot: Slot) -> dict[str, int]:
    """The tickets that ended, whatever was wrong with them."""
    ended = dict.fromkeys(Result, 0)
    for field, count in slot.fields.items():
        match field.split(" "):
            case ["tickets", result, *_] if result in ended:
                ended[Result(result)] += round(count)
    return {result.value: count for result, count in ended.items()}


def _durations(durations: Durations) -> dict[str, float | None]:
    return {
        "count": round(durations.count),
        "mean": _rounded(durations.mean),
        "p95": _rounded(durations.quantile(MOST)),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def standing_now(standing: Standing, free: int | None) -> dict[str, Any]:
    """How things stand, as it is told to operators. `free` are the bytes of disk that are left, if anybody knows."""
    return {
        "waiting": standing.waiting,
        "oldest": round(standing.oldest, 3),
        "working": standing.working,
        "dead": standing.dead,
        "webhooks": standing.deliveries,
        "store": standing.store._asdict() if standing.store else None,
        "free": free,
    }
