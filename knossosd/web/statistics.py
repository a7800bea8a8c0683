"""`/api/statistics`: the last day in numbers, as a page plots them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import bottle
from bottle import request

from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.connection import connect_once
from knossosd.tickets.keys import SLOT
from knossosd.tickets.measures import SUBMISSIONS, Attempt, Duration, Result, attempt_field, ticket_field
from knossosd.tickets.statistics import Durations, Slot, Standing, Statistics
from knossosd.web.access import key_of
from knossosd.web.answers import denied
from knossosd.web.disk import Disk

SAMPLED = ("waiting", "oldest", "working", "workers")
BYTES = ("downloaded", "inspected", "mirrored")
MOST = 0.95
"""The share of durations that is told besides their mean."""


def install(app: bottle.Bottle, settings: Settings, keyring: Keyring, disk: Disk) -> None:
    """Add the route."""
    statistics = Statistics(connect_once(settings, "statistics"))

    def answer() -> Any:
        if not settings.open_monitor and not key_of(request.environ, keyring, Scope.MONITOR):
            return denied()
        bottle.response.set_header("Cache-Control", "no-store")
        return {**day(statistics.last_day()), "now": _now(statistics.standing(), disk.free())}

    app.get("/api/statistics", callback=answer)


def day(slots: Sequence[Slot]) -> dict[str, Any]:
    """The last day: one number of each slot in each list."""

    def total(*fields: str) -> list[int]:
        return [round(sum(slot.fields.get(field, 0) for field in fields)) for slot in slots]

    return {
        "step": SLOT,
        "times": [slot.start for slot in slots],
        "submitted": total(SUBMISSIONS),
        "ended": {result.value: total(*_fields_of(result, slots)) for result in Result},
        "webhooks": {attempt.value: total(attempt_field(attempt)) for attempt in Attempt},
        "bytes": {name: total(f"{name}_bytes") for name in BYTES},
        "sampled": {name: [slot.sampled(name) for slot in slots] for name in SAMPLED},
        "durations": {kind.value: _durations(kind, slots) for kind in Duration},
    }


def _fields_of(result: Result, slots: Iterable[Slot]) -> set[str]:
    """The fields that count tickets with this result, whatever was wrong."""
    name = ticket_field(result, None)
    return {field for slot in slots for field in slot.fields if field == name or field.startswith(f"{name} ")}


def _durations(kind: Duration, slots: Iterable[Slot]) -> dict[str, list[float | None]]:
    found = [Durations.of(kind, slot.fields) for slot in slots]

    def seconds(one: Callable[[Durations], float | None]) -> list[float | None]:
        return [None if (value := one(durations)) is None else round(value, 3) for durations in found]

    return {
        "count": [round(durations.count) for durations in found],
        "mean": seconds(lambda durations: durations.mean),
        "p95": seconds(lambda durations: durations.quantile(MOST)),
    }


def _now(standing: Standing, free: int | None) -> dict[str, Any]:
    return {
        "waiting": standing.waiting,
        "oldest": round(standing.oldest, 3),
        "working": standing.working,
        "dead": standing.dead,
        "webhooks": standing.deliveries,
        "workers": [
            {"host": one.host, "pid": one.pid, "since": one.since, "ticket": one.ticket}
            for one in standing.processes
            if one.kind == "worker"
        ],
        "watchers": sum(one.watchers for one in standing.processes),
        "store": standing.store._asdict() if standing.store else None,
        "free": free,
    }
