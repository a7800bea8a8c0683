"""What operators see, in sections. Each is read as a whole, and none looks at every ticket."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import redis

from knossosd.settings import Settings
from knossosd.tickets import history
from knossosd.tickets.changes import Change
from knossosd.tickets.outbox import Delivery, Outbox
from knossosd.tickets.record import Ticket
from knossosd.tickets.statistics import Statistics
from knossosd.tickets.store import Tickets
from knossosd.web.disk import Disk
from knossosd.web.statistics import Day, standing_now

MOST = 50
"""Entries of a list that are shown: the counts say how many there are in all."""


class Section(StrEnum):
    """The sections, by the names of their events."""

    NOW = "now"
    RUNNING = "running"
    QUEUE = "queue"
    OUTCOMES = "outcomes"
    DELIVERIES = "deliveries"
    DAY = "day"


AFFECTED: Mapping[str, frozenset[Section]] = {
    Change.TICKETS: frozenset({Section.NOW, Section.RUNNING, Section.QUEUE, Section.OUTCOMES}),
    Change.DELIVERIES: frozenset({Section.NOW, Section.DELIVERIES}),
    Change.PROCESSES: frozenset({Section.NOW}),
}
"""What is to be read again after a change."""

FOR_OPERATORS = frozenset({Section.DELIVERIES})
"""What an open monitor does not show to everybody: the link of a webhook may be all that protects it."""


class Sections:
    """The sections of an installation, read with `client`; `day` is the last day, which others read as well."""

    def __init__(self, client: redis.Redis, settings: Settings, day: Day, disk: Disk) -> None:
        self._tickets = Tickets(client, settings)
        self._outbox = Outbox(client)
        self._statistics = Statistics(client)
        self._disk = disk
        self._readers: dict[Section, Callable[[], Any]] = {
            Section.NOW: self._now,
            Section.RUNNING: lambda: [_running(ticket) for ticket in self._tickets.running(MOST)],
            Section.QUEUE: lambda: [_waiting(ticket) for ticket in self._tickets.next(MOST)],
            Section.OUTCOMES: lambda: [_outcome(entry) for entry in history.latest(client)],
            Section.DELIVERIES: lambda: [_delivery(one) for one in self._outbox.latest(MOST)],
            Section.DAY: day.read,
        }

    def read(self, section: Section) -> Any:
        """The section as it is now, as JSON has it. Raises `redis.RedisError`."""
        return self._readers[section]()

    def _now(self) -> dict[str, Any]:
        standing = self._statistics.standing()
        return {
            "time": round(self._tickets.now(), 3),
            **standing_now(standing, self._disk.free()),
            "processes": [{**asdict(one), "silent": round(one.silent, 1)} for one in standing.processes],
        }


def _running(ticket: Ticket) -> dict[str, Any]:
    return {
        "ticket": ticket.number,
        "title": ticket.title,
        "since": ticket.time,
        "attempt": ticket.attempt,
        "progress": ticket.progress,
        "text": ticket.text,
    }


def _waiting(ticket: Ticket) -> dict[str, Any]:
    return {"ticket": ticket.number, "title": ticket.title, "since": ticket.created, "attempt": ticket.attempt}


def _outcome(entry: history.Entry) -> dict[str, Any]:
    return {
        "ticket": entry.number,
        "title": entry.title,
        "time": entry.time,
        "runtime": entry.runtime,
        "until": entry.until,
        "success": entry.success,
        "dead": entry.is_dead,
        "errors": entry.errors,
        "error_count": entry.error_count,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "ticket": delivery.ticket,
        "site": _site(delivery.url),
        "created": delivery.created,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "log": delivery.log,
    }


def _site(url: str) -> str:
    """Where a webhook goes, without what may be secret in its link."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
