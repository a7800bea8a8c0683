"""Looking tickets up: requests that come at the same moment share one trip to Redis.

A trip begins when the one before has returned, so the more requests there are, the more of them go along each time: a
crowd that polls costs little more than a few who do.
"""

from typing import Any

import gevent
import redis
from gevent.lock import Semaphore
from gevent.util import wrap_errors

from knossosd.tickets.store import Standing, Tickets


class Lookup:
    """The look-ups of one process."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._wanted: set[int] = set()
        self._one_at_a_time = Semaphore(1)
        self._trip: gevent.Greenlet[[], Any]

    def find(self, number: int) -> Standing | None:
        """How the ticket stands; None when there is none (any more)."""
        if not self._wanted:
            self._trip = gevent.spawn(wrap_errors((redis.RedisError,), self._go))
        self._wanted.add(number)
        found: dict[int, Standing] | redis.RedisError = self._trip.get()
        if isinstance(found, redis.RedisError):
            raise found
        return found.get(number)

    def _go(self) -> dict[int, Standing]:
        with self._one_at_a_time:
            wanted, self._wanted = self._wanted, set()
            return self._tickets.standings(wanted)
