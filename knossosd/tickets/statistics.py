"""What the counters say: all that was ever measured, how things stand now, and the last day in slots of five minutes.

Nothing here looks at every ticket: a slot and the totals have some hundred fields at most.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import redis

from knossosd.settings import DAY
from knossosd.tickets import keys
from knossosd.tickets.connection import now_in_redis
from knossosd.tickets.keys import SLOT
from knossosd.tickets.measures import BEYOND, BOUNDS, Duration, bucket_field, seconds_field
from knossosd.tickets.scripts import SLOT_LIFETIME
from knossosd.tickets.workers import Living, living

SAMPLE = f"""
-- keys: slot; arguments: names and values in turns; of those in one slot the largest stays
for index = 1, #ARGV, 2 do
    local before = tonumber(redis.call('HGET', KEYS[1], ARGV[index]) or -1)
    if tonumber(ARGV[index + 1]) > before then redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1]) end
end
redis.call('EXPIRE', KEYS[1], {SLOT_LIFETIME})
return 1
"""

STORE_LIFETIME = DAY
"""Seconds for which the size of the store is believed."""

AT_ONCE = 12
"""Slots that are read in one go."""

BUCKETS = {kind: {bound: bucket_field(kind, bound) for bound in (*BOUNDS, BEYOND)} for kind in Duration}
"""The fields that count durations, by kind and bound."""

Fields = Mapping[str, float]
"""What was counted, by the fields of `measures`; what is missing is 0."""


class StoreSize(NamedTuple):
    """How many contents the mirror's store has, and how many bytes those have."""

    contents: int
    size: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand: tickets that wait, the seconds that the oldest of them has waited, those that a worker holds
    and those that are dead, webhooks that are still to be delivered, and the processes that live.

    `store` is None when upkeep has not looked at it within a day.
    """

    waiting: int
    oldest: float
    working: int
    dead: int
    deliveries: int
    processes: tuple[Living, ...]
    store: StoreSize | None

    @property
    def workers(self) -> int:
        """How many worker processes live."""
        return sum(process.kind == "worker" for process in self.processes)


class Slot(NamedTuple):
    """What was measured within `SLOT` seconds from `start` (epoch seconds)."""

    start: int
    fields: Fields

    def sampled(self, name: str) -> float | None:
        """The largest that was seen: of `waiting`, `oldest`, `working` and `workers`. None when nobody looked."""
        return self.fields.get(_sampled(name))


class Statistics:
    """The counters of one Redis. `now` is the clock, epoch seconds: that of Redis unless another one is given."""

    def __init__(self, client: redis.Redis, now: Callable[[], float] | None = None) -> None:
        self._client = client
        self._now = now or (lambda: now_in_redis(client))

    def totals(self) -> Fields:
        """All that was ever measured."""
        return _fields(self._client.hgetall(keys.TOTALS))

    def standing(self) -> Standing:
        """How things stand now."""
        now = self._now()
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zrange(keys.QUEUE, 0, 0, withscores=True)
            for index in (keys.QUEUE, keys.WORKING, keys.DEAD, keys.OUTBOX):
                pipe.zcard(index)
            pipe.hgetall(keys.STORE)
            oldest, waiting, working, dead, deliveries, store = pipe.execute()
        age = max(0.0, now - oldest[0][1]) if oldest else 0.0
        size = StoreSize(int(store["contents"]), int(store["size"])) if store else None
        return Standing(waiting, age, working, dead, deliveries, tuple(living(self._client)), size)

    def last_day(self) -> range:
        """When the slots of a day begin, oldest first; the last one is not over yet."""
        last = int(self._now() // SLOT) * SLOT
        return range(last - DAY, last + 1, SLOT)

    def slots(self, starts: Sequence[int]) -> Iterator[Slot]:
        """The slots that begin then. They are read bit by bit: all at once would hold up everybody in a web process."""
        for first in range(0, len(starts), AT_ONCE):
            some = starts[first : first + AT_ONCE]
            with self._client.pipeline(transaction=False) as pipe:
                for start in some:
                    pipe.hgetall(keys.slot(start))
                yield from (Slot(start, _fields(found)) for start, found in zip(some, pipe.execute(), strict=True))

    def sample(self) -> None:
        """Note how things stand, for the plots. May be called by anybody, as often as they like."""
        standing = self.standing()
        seen = {
            "waiting": standing.waiting,
            "oldest": round(standing.oldest, 3),
            "working": standing.working,
            "workers": standing.workers,
        }
        arguments = [part for name, value in seen.items() for part in (_sampled(name), value)]
        self._client.eval(SAMPLE, 1, keys.slot(self._now()), *arguments)

    def note_store(self, store: StoreSize) -> None:
        """Note how large the store is, which takes too long to find out for each who asks."""
        with self._client.pipeline() as pipe:
            pipe.hset(keys.STORE, mapping={"contents": store.contents, "size": store.size})
            pipe.expire(keys.STORE, STORE_LIFETIME)
            pipe.execute()


@dataclass(frozen=True, slots=True)
class Durations:
    """Durations of one kind: up to each bound, shortest first and with `BEYOND`, how many took as long or less, and
    the sum of all seconds."""

    up_to: tuple[tuple[str, float], ...]
    seconds: float

    @classmethod
    def of(cls, kind: Duration, fields: Fields) -> "Durations":
        counts = accumulate(fields.get(field, 0) for field in BUCKETS[kind].values())
        return cls(tuple(zip(BUCKETS[kind], counts, strict=True)), fields.get(seconds_field(kind), 0))

    @property
    def count(self) -> float:
        """How many there were."""
        return self.up_to[-1][1]

    @property
    def mean(self) -> float | None:
        """Their mean in seconds; None when there were none."""
        return self.seconds / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Seconds within which this share (0 to 1) of them was over, as far as the bounds tell: within one of them,
        they count as evenly spread. None when there were none."""
        wanted, below, before = share * self.count, 0.0, 0.0
        for bound, up_to in self.up_to[:-1]:
            if up_to >= wanted and up_to > before:
                return below + (float(bound) - below) * (wanted - before) / (up_to - before)
            below, before = float(bound), up_to
        return below if self.count else None


def _sampled(name: str) -> str:
    return f"sampled {name}"


def _fields(found: Any) -> Fields:
    return {field: float(value) for field, value in found.items()}
