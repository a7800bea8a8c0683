"""The outbox of webhooks: every delivery that a ticket's end calls for, until it was made or given up.

A delivery is recorded together with the outcome, so it survives whatever happens afterwards. Whoever makes an attempt
takes the delivery for a while; when he vanishes it is due again. After a success there is no further attempt.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import redis

from knossosd.settings import DAY, HOUR
from knossosd.tickets import keys, scripts
from knossosd.tickets.changes import Change
from knossosd.tickets.connection import now_in_redis
from knossosd.tickets.measures import Attempt, Measured, attempt_field

PATIENCE = DAY
"""Seconds for which a site is asked again and again."""

LIFETIME = 7 * DAY
"""Seconds for which a delivery is remembered, however it ended."""

FIRST_PAUSE, LONGEST_PAUSE = 15, 2 * HOUR
"""Seconds before the next attempt: twice as long each time, give or take a half."""

HOLD = 120
"""Seconds that an attempt has besides the site's time limit: then somebody else may take the delivery."""

TICK = 1.0
"""Seconds between two tries to note an outcome while Redis is away."""

AT_ONCE = 10_000
"""Deliveries that are looked at in one go: so many that one site which hangs hides no other."""

KEPT_ATTEMPTS = 30


class DeliveryState(StrEnum):
    """How a delivery is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


COUNTED_AS = {
    DeliveryState.WAITING: Attempt.FAILED,
    DeliveryState.DELIVERED: Attempt.DELIVERED,
    DeliveryState.GIVEN_UP: Attempt.GIVEN_UP,
}
"""What an attempt after which a delivery is so is counted as."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: of which ticket, where to, and the ticket's token, which signs it. Times are epoch seconds.

    `attempts` counts those that were begun; `log` has what came of the last ones: `{time, outcome}`.
    """

    id: str
    ticket: int
    url: str
    token: str
    created: float
    state: DeliveryState
    attempts: int
    log: tuple[dict[str, Any], ...]

    @classmethod
    def from_hash(cls, delivery_id: str, fields: dict[str, str]) -> "Delivery":
        """The delivery that Redis's hash `fields` describes."""
        return cls(
            id=delivery_id,
            ticket=int(fields["ticket"]),
            url=fields["url"],
            token=fields["token"],
            created=float(fields["created"]),
            state=DeliveryState(fields["state"]),
            attempts=int(fields["attempts"]),
            log=tuple(json.loads(fields.get("log") or "[]")),
        )


class Outbox:
    """The deliveries of one Redis, whose attempts take at most `timeout` seconds.

    `now` is the clock (epoch seconds; that of Redis unless another one is given), `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        client: redis.Redis,
        timeout: float = 0.0,
        now: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._hold = timeout + HOLD
        self._longest = max(self._hold, 1.5 * LONGEST_PAUSE)
        self._now = now or (lambda: now_in_redis(client))
        self._jitter = jitter

    def due(self) -> list[str]:
        """The ids of deliveries that somebody should take now. So are those that are due later than any may be: they
        are of a time before the clock was set back."""
        now = self._now()
        due: list[str] = []
        for first, last in (("-inf", now), (f"({now + self._longest}", "+inf")):
            due += cast(list[str], self._client.zrangebyscore(keys.OUTBOX, first, last, start=0, num=AT_ONCE))
        return due

    def take(self, delivery_id: str) -> Delivery | None:
        """Take a delivery to make an attempt. None when it is not due, or somebody else has it."""
        names = (keys.delivery(delivery_id), keys.OUTBOX)
        now = self._now()
        arguments = (delivery_id, now, now + self._hold, now + self._longest)
        if not self._client.eval(scripts.TAKE_DELIVERY, len(names), *names, *arguments):
            return None
        return self.get(delivery_id)

    def note(self, delivery: Delivery, outcome: str, *, state: DeliveryState) -> None:
        """Note what came of the attempt that `delivery` was taken for. One that stays WAITING becomes due again, or is
        given up when it was tried for long enough.

        While Redis is away, this is tried again as long as nobody else can have taken the delivery: what is not noted
        would be sent once more.
        """
        deadline = time.monotonic() + HOLD
        while True:
            try:
                self._note(delivery, outcome, state)
                return
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(TICK)

    def _note(self, delivery: Delivery, outcome: str, state: DeliveryState) -> None:
        now = self._now()
        if state is DeliveryState.WAITING and now - delivery.created > PATIENCE:
            state = DeliveryState.GIVEN_UP
        pause = min(FIRST_PAUSE * 2.0 ** (delivery.attempts - 1), LONGEST_PAUSE) * (0.5 + self._jitter())
        log = [*delivery.log, {"time": now, "outcome": outcome}][-KEPT_ATTEMPTS:]
        counted = Measured({attempt_field(COUNTED_AS[state]): 1})
        names = (keys.delivery(delivery.id), keys.OUTBOX, keys.TOTALS, keys.slot(now))
        arguments = (delivery.id, delivery.attempts, state.value, now + pause, json.dumps(log), counted.as_json())
        self._client.eval(scripts.NOTE_DELIVERY, len(names), *names, *arguments)

    def get(self, delivery_id: str) -> Delivery | None:
        """The delivery, None when there is none (any more)."""
        fields = cast(dict[str, str], self._client.hgetall(keys.delivery(delivery_id)))
        return Delivery.from_hash(delivery_id, fields) if fields else None

    def all(self) -> list[Delivery]:
        """Every delivery that is remembered, oldest first."""
        return self._found(cast(list[str], self._client.zrange(keys.DELIVERIES, 0, -1)))

    def latest(self, most: int) -> list[Delivery]:
        """The latest deliveries, `most` of them at most, the latest first."""
        return self._found(cast(list[str], self._client.zrevrange(keys.DELIVERIES, 0, most - 1)))

    def _found(self, delivery_ids: Sequence[str]) -> list[Delivery]:
        with self._client.pipeline(transaction=False) as pipe:
            for one in delivery_ids:
                pipe.hgetall(keys.delivery(one))
            found = pipe.execute()
        return [Delivery.from_hash(one, fields) for one, fields in zip(delivery_ids, found, strict=True) if fields]

    def redeliver(self, delivery_id: str) -> bool:
        """Let a delivery be made once more, whatever became of it. False when there is none (any more)."""
        if not self._client.exists(keys.delivery(delivery_id)):
            return False
        with self._client.pipeline() as pipe:
            pipe.hset(
                keys.delivery(delivery_id), mapping={"state": DeliveryState.WAITING.value, "created": self._now()}
            )
            pipe.expire(keys.delivery(delivery_id), LIFETIME)
            pipe.zadd(keys.OUTBOX, {delivery_id: self._now()})
            pipe.expire(keys.OUTBOX, LIFETIME)
            pipe.publish(keys.CHANGES, Change.DELIVERIES.value)
            pipe.execute()
        return True

    def trim(self) -> None:
        """Forget the deliveries that are remembered no longer."""
        self._client.zremrangebyscore(keys.DELIVERIES, "-inf", self._now() - LIFETIME)
