"""What is measured, in counters that stand in Redis: all processes of all hosts add to the same ones.

A worker may be killed at any time, and its counters would go with it. So what is counted is added in the very step that
records it: the ticket's end, the claim, the attempt of a webhook. Each is counted once, and a restart loses none.

All counters are fields of one hash, and what was added within five minutes stands in another one, for the plots of the
last day. A field is the name of a counter and the values of its labels, with spaces in between: `tickets failed
archive_corrupt`. Durations have a counter for each of the `BOUNDS`, of those up to it and beyond the one before, and
one for the sum of their seconds.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from knossosd.conversion.observer import TIMES, Measure
from knossosd.faults import OURS, Code

BOUNDS = (
    *("0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30"),
    *("60", "120", "300", "600", "1800", "3600", "10800", "43200"),
)
"""Seconds up to which durations count as alike; what is longer than all of them is counted up to `BEYOND`."""

BEYOND = "+Inf"


class Result(StrEnum):
    """How tickets end. DEAD are those that failed through no fault of the mod's."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Attempt(StrEnum):
    """What comes of an attempt to deliver a webhook: after FAILED there is another one."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


class Duration(StrEnum):
    """What takes time: WAITING for a worker, the parts of a conversion, and the WHOLE of it from submission to end."""

    WAITING = "waiting"
    DOWNLOADING = Measure.DOWNLOADING.value
    INSPECTING = Measure.INSPECTING.value
    PUBLISHING = Measure.PUBLISHING.value
    WHOLE = "whole"


SUBMISSIONS = "submissions"
LEASE_EXPIRIES = "lease_expiries"


class Tally:
    """What was measured and is not recorded yet. For any thread."""

    def __init__(self) -> None:
        self._amounts: defaultdict[str, float] = defaultdict(float)
        self._durations: list[tuple[str, float]] = []
        self._lock = threading.Lock()

    def add(self, measure: Measure, amount: float) -> None:
        """Note what a conversion has measured."""
        with self._lock:
            if measure in TIMES:
                self._durations.append((measure.value, amount))
            else:
                self._amounts[measure.value] += amount

    def take(self) -> "Measured":
        """Everything that was noted; from now on it is the caller's to record."""
        with self._lock:
            taken = Measured(dict(self._amounts), tuple(self._durations))
            self._amounts, self._durations = defaultdict(float), []
        return taken


@dataclass(frozen=True, slots=True)
class Measured:
    """What is to be added to counters: amounts by field, and durations with their seconds."""

    amounts: Mapping[str, float]
    durations: tuple[tuple[str, float], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.amounts or self.durations)

    def with_one(self, field: str) -> "Measured":
        """The same, and one more of what the `field` counts."""
        return Measured({**self.amounts, field: self.amounts.get(field, 0) + 1}, self.durations)

    def as_json(self) -> str:
        """How the scripts read it."""
        return json.dumps({"amounts": self.amounts, "durations": self.durations})


def ticket_field(result: Result, code: Code | None) -> str:
    """What counts tickets that end so. `code` is what was wrong."""
    return f"tickets {result.value} {code.value}" if code else f"tickets {result.value}"


def attempt_field(attempt: Attempt) -> str:
    """What counts attempts of webhooks with this outcome."""
    return f"webhook_attempts {attempt.value}"


def bucket_field(duration: Duration, bound: str) -> str:
    """What counts durations up to the bound, and longer than the one before it."""
    return f"duration {duration.value} {bound}"


def seconds_field(duration: Duration) -> str:
    """What the seconds of these durations are added up in."""
    return f"seconds {duration.value}"


def expected() -> Iterator[str]:
    """The fields that are worth showing while they are 0, so that the very first event is seen as a rise."""
    yield SUBMISSIONS
    yield LEASE_EXPIRIES
    yield from (measure.value for measure in Measure if measure not in TIMES)
    yield from (attempt_field(attempt) for attempt in Attempt)
    yield ticket_field(Result.SUCCEEDED, None)
    yield ticket_field(Result.CANCELLED, Code.CANCELLED)
    yield from (ticket_field(Result.DEAD, code) for code in sorted(OURS))
