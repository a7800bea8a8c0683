"""How many bytes an API key may upload in a day."""

import math
from collections.abc import Callable
from typing import Any

import redis

from knossosd.settings import DAY
from knossosd.tickets import keys
from knossosd.tickets.connection import now_in_redis
from knossosd.tickets.store import QuotaReached

SPEND = """
-- keys: what the owner uploaded; arguments: id of the upload, its size, now, most in a day
local spent, oldest, now = 0, nil, tonumber(ARGV[3])
local uploaded = redis.call('HGETALL', KEYS[1])
for place = 1, #uploaded, 2 do
    local size, time = string.match(uploaded[place + 1], '(.*) (.*)')
    if tonumber(time) <= now - 86400 then
        redis.call('HDEL', KEYS[1], uploaded[place])
    elseif uploaded[place] ~= ARGV[1] then
        spent = spent + tonumber(size)
        oldest = math.min(oldest or now, tonumber(time))
    end
end
if spent + tonumber(ARGV[2]) > tonumber(ARGV[4]) then return {'refused', tostring(oldest or now)} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('EXPIRE', KEYS[1], 86400)
return {'spent'}
"""


class UploadQuota:
    """The quotas of all API keys, `limit` bytes each, or None for any number; then Redis is not asked.

    `now` is the clock, epoch seconds: that of Redis, unless another one is given.
    """

    def __init__(self, client: redis.Redis, limit: int | None, now: Callable[[], float] | None = None) -> None:
        self._client = client
        self._limit = limit
        self._now = now or (lambda: now_in_redis(client))

    def spend(self, owner: str, upload: str, size: int) -> None:
        """Count `size` bytes that the owner is about to upload. `upload` is an id of the caller's.

        Raises `QuotaReached` when these are too many; then they do not count.
        """
        if self._limit is None:
            return
        now = self._now()
        outcome: Any = self._client.eval(SPEND, 1, keys.uploaded(owner), upload, size, now, self._limit)
        if outcome[0] == "refused":
            message = f"No more than {self._limit} bytes may be uploaded in a day."
            raise QuotaReached(message, math.ceil(float(outcome[1]) + DAY - now))

    def give_back(self, owner: str, upload: str) -> None:
        """Let bytes that did not stay count no more."""
        if self._limit is not None:
            self._client.hdel(keys.uploaded(owner), upload)
