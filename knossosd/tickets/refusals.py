"""How often each address was refused lately for a wrong key or token: known to all web processes, for who guesses.

Each refusal is a debt of `COST` seconds, which time pays off. Whoever owes as much as `most` refusals cost has to wait,
so over time one guess a minute is possible, whether they come one by one or all at once. What is remembered is one
number for each address, and only of `REMEMBERED` addresses, those that owe most.
"""

from typing import Any, cast

import redis

from knossosd.settings import DAY
from knossosd.tickets import keys

COST = 60.0
"""Seconds in which one refusal is forgiven."""

LONGEST = DAY
"""Seconds that an address owes at most."""

REMEMBERED = 10_000

NOTE = """
-- keys: refusals; arguments: address, seconds that it costs, most seconds that one owes, most addresses
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local owed = math.max(tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or now), now) + ARGV[2]
redis.call('ZADD', KEYS[1], math.min(owed, now + ARGV[3]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


class Refusals:
    """The refusals of one Redis. After `most` at once, an address has to wait; None: never."""

    def __init__(self, client: redis.Redis, most: int | None) -> None:
        self._client = client
        self._most = most

    def wait(self, address: str) -> float:
        """Seconds after which the address may try again; 0 when it may now."""
        if self._most is None:
            return 0.0
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zscore(keys.REFUSALS, address)
            pipe.time()
            until, (seconds, microseconds) = cast(tuple[float | None, tuple[int, int]], tuple(pipe.execute()))
        debt = (until or 0.0) - seconds - microseconds / 1e6
        return max(0.0, debt - (self._most - 1) * COST)

    def note(self, address: str) -> None:
        """Remember that the address was refused once more."""
        if self._most is not None:
            arguments: list[Any] = [address, COST, LONGEST, REMEMBERED]
            self._client.eval(NOTE, 1, keys.REFUSALS, *arguments)
