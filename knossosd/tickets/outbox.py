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
from knossosd.tickets import keys
from knossosd.tickets.changes import Change, told
from knossosd.tickets.connection import GLANCE, now_in_redis, patiently
from knossosd.tickets.measures import Attempt, attempt_field
from knossosd.tickets.scripts import LENGTHEN, MEASURE, NOTE_IN_LOG
from knossosd.tickets.understanding import understood

PATIENCE = DAY
"""Seconds for which a site is asked again and again."""

LIFETIME = 7 * DAY
"""Seconds for which a delivery is remembered, however it ended."""

FIRST_PAUSE, LONGEST_PAUSE = 15, 2 * HOUR
"""Seconds before the next attempt: twice as long each time, give or take a half."""

HOLD = 30
"""Seconds that an attempt has besides the site's time limit, which is for all of it: then whoever took the delivery has
vanished, and somebody else may."""

LAST_WORDS = 2.0
"""Seconds after the site's time limit in which an attempt is noted, when nothing is in the way."""

TICK = 1.0
"""Seconds between two tries to note an outcome while Redis is away."""

LAST_CALL = GLANCE + 2 * TICK
"""Seconds in which whoever took a delivery and was never heard of again notes what came of it, if he lives: when Redis
was away for longer than a hold lasts, somebody else may be the first to find it back."""

AT_ONCE = 10_000
"""Deliveries that are looked at in one go: so many that one site which hangs hides no other."""


Counts = tuple[str | None, str | None]
"""Of a delivery: how many attempts were begun, and the last one that was noted."""


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

COUNTERS = ", ".join(f"['{state}'] = '{attempt_field(attempt)}'" for state, attempt in COUNTED_AS.items())
"""The same for the script that counts it."""

TAKE_DELIVERY = f"""
-- keys: delivery, outbox;
-- arguments: delivery id, now, until when nobody else takes it, how late at the latest one may be due
local due = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or nil)
if not due or (due > tonumber(ARGV[2]) and due <= tonumber(ARGV[4])) then return 0 end
if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' then
    redis.call('ZREM', KEYS[2], ARGV[1])
    return 0
end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
{told(Change.DELIVERIES)}
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
return redis.call('HGETALL', KEYS[1])
"""

NOTE_DELIVERY = f"""
-- keys: delivery, outbox, totals, slot;
-- arguments: delivery id, number of the attempt, what came of it, its entry in the log, now, what a pause is multiplied
-- with, pause that the site asks for
{MEASURE}
{NOTE_IN_LOG}
local state, attempts, noted, created, earlier =
    unpack(redis.call('HMGET', KEYS[1], 'state', 'attempts', 'noted', 'created', 'earlier'))
if noted == ARGV[2] then return 1 end
if state ~= 'waiting' then return 0 end
-- Who was silent for so long that somebody else took it can still say that there has to be no other attempt.
if attempts ~= ARGV[2] and ARGV[3] ~= 'delivered' then return 0 end
state = ARGV[3]
if state == 'waiting' and ARGV[5] - created > {PATIENCE} then state = 'given up' end
redis.call('HSET', KEYS[1], 'state', state, 'noted', ARGV[2])
note_in_log(KEYS[1], ARGV[4])
local counters = {{{COUNTERS}}}
measure(KEYS[3], KEYS[4], {{[counters[state]] = 1}}, {{}})
{told(Change.DELIVERIES)}
if state == 'waiting' then
    local pause = math.min({FIRST_PAUSE} * 2 ^ (attempts - (earlier or 0) - 1), {LONGEST_PAUSE}) * ARGV[6]
    redis.call('ZADD', KEYS[2], ARGV[5] + math.max(pause, ARGV[7]), ARGV[1])
else
    redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1
"""

REDELIVER = f"""
-- keys: delivery, outbox, deliveries; arguments: delivery id, now, lifetime in milliseconds
{LENGTHEN}
local attempts, noted = unpack(redis.call('HMGET', KEYS[1], 'attempts', 'noted'))
if not attempts then return 0 end
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
local is_under_way = due and tonumber(due) > tonumber(ARGV[2]) and attempts ~= (noted or '0')
-- An attempt that is under way is the first of the new ones: nobody else may take the delivery beside it.
if not is_under_way then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'created', ARGV[2], 'earlier', attempts - (is_under_way and 1 or 0))
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
for _, key in ipairs(KEYS) do lengthen(key, ARGV[3]) end
{told(Change.DELIVERIES)}
return 1
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: of which ticket, where to, and the ticket's token, which signs it. Times are epoch seconds.

    `created` is when the ticket ended, or when somebody asked for the delivery once more. `attempts` counts those that
    were begun; `log` has what came of the last ones: `{time, outcome}`.
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
    def from_hash(cls, delivery_id: str, fields: dict[str, str]) -> "Delivery | None":
        """The delivery that Redis's hash `fields` describes; None when nobody here understands it."""
        return understood(f"the delivery {delivery_id}", lambda: cls._read(delivery_id, fields))

    @classmethod
    def _read(cls, delivery_id: str, fields: dict[str, str]) -> "Delivery":
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

    `quick` is a client that gives up soon, for those who make attempts: what they take and note too late does harm.
    `now` is the clock (epoch seconds; that of Redis unless another one is given), `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        client: redis.Redis,
        timeout: float = 0.0,
        quick: redis.Redis | None = None,
        now: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._quick = quick or client
        self._hold = timeout + HOLD
        self._longest = max(self._hold, 1.5 * LONGEST_PAUSE)
        self._now = now or (lambda: now_in_redis(self._quick))
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
        counts = cast(Counts, self._quick.hmget(keys.delivery(delivery_id), "attempts", "noted"))
        if _is_unheard_of(counts):
            time.sleep(LAST_CALL)
        names = (keys.delivery(delivery_id), keys.OUTBOX)
        now = self._now()
        arguments = (delivery_id, now, now + self._hold, now + self._longest)
        taken: Any = self._quick.eval(TAKE_DELIVERY, len(names), *names, *arguments)
        if not taken:
            return None
        return Delivery.from_hash(delivery_id, dict(zip(taken[::2], taken[1::2], strict=True)))

    def under_way(self, asked: float) -> int:
        """How many attempts, of those that were begun before the time `asked`, are still to be noted; but not those
        which take too long for somebody to be at them."""
        earliest, latest = self._now() + HOLD - LAST_WORDS, asked + self._hold
        held = cast(list[str], self._client.zrangebyscore(keys.OUTBOX, earliest, latest))
        with self._client.pipeline(transaction=False) as pipe:
            for one in held:
                pipe.hmget(keys.delivery(one), "attempts", "noted")
            found = cast(list[Counts], pipe.execute())
        return sum(map(_is_unheard_of, found))

    def note(self, delivery: Delivery, outcome: str, *, state: DeliveryState, after: float = 0.0) -> None:
        """Note what came of the attempt that `delivery` was taken for. One that stays WAITING becomes due again, not
        before `after` seconds, or is given up when it was tried for long enough.

        When somebody else took the delivery meanwhile, only a success counts; when it was withdrawn, nothing does.
        While Redis is away, this waits: what is not noted would be sent once more.
        """
        patiently(
            f"the note of attempt {delivery.attempts} to deliver {delivery.id}",
            lambda: self._note(delivery, outcome, state, after),
            pause=lambda: time.sleep(TICK),
        )

    def _note(self, delivery: Delivery, outcome: str, state: DeliveryState, after: float) -> None:
        now = self._now()
        names = (keys.delivery(delivery.id), keys.OUTBOX, keys.TOTALS, keys.slot(now))
        arguments: list[Any] = [
            delivery.id,
            delivery.attempts,
            state.value,
            log_entry(now, outcome),
            now,
            0.5 + self._jitter(),
            after,
        ]
        self._quick.eval(NOTE_DELIVERY, len(names), *names, *arguments)

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
        read = (Delivery.from_hash(one, fields) for one, fields in zip(delivery_ids, found, strict=True) if fields)
        return [delivery for delivery in read if delivery]

    def redeliver(self, delivery_id: str) -> bool:
        """Let a delivery be made once more, whatever became of it, and be tried for as long as a new one. False when
        there is none (any more)."""
        names = (keys.delivery(delivery_id), keys.OUTBOX, keys.DELIVERIES)
        arguments: list[Any] = [delivery_id, self._now(), LIFETIME * 1000]
        return bool(self._client.eval(REDELIVER, len(names), *names, *arguments))

    def trim(self) -> None:
        """Forget the deliveries that are remembered no longer, and those that nobody came to make within that time."""
        self._client.zremrangebyscore(keys.DELIVERIES, "-inf", self._now() - LIFETIME)
        for one in self.due():
            if not self._client.exists(keys.delivery(one)):
                self._client.zrem(keys.OUTBOX, one)


def _is_unheard_of(counts: Counts) -> bool:
    """Whether what came of the last attempt was not noted."""
    attempts, noted = counts
    return attempts not in (None, "0", noted)


def log_entry(now: float, outcome: str) -> str:
    """An entry of a delivery's log, as JSON text."""
    return json.dumps({"time": now, "outcome": outcome})
