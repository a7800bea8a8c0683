"""Leases that the workers of all hosts share: a key with an owner and a lifetime, renewed as long as it is held.

When a worker dies, its leases run out by themselves.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import redis

from knossosd.conversion.leases import POLL
from knossosd.tickets import keys
from knossosd.tickets.execution import RENEWALS_PER_LEASE

log = logging.getLogger(__name__)

PROLONG = """
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""Keys: lease; arguments: owner, and the lifetime in milliseconds. Only the owner may do either. A lease that ran out
while Redis was away may be taken again, if nobody was quicker."""


class SharedLeases:
    """The leases of one process among those of all others, each good for `lifetime` seconds.

    They are what `knossosd.conversion.leases.Leases` asks for.
    """

    def __init__(self, client: redis.Redis, lifetime: float) -> None:
        self._client = client
        self._lifetime = int(lifetime * 1000)
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._renewing = False

    @contextmanager
    def hold(self, names: Sequence[str], *, busy: Callable[[], None], check: Callable[[], None]) -> Iterator[None]:
        owner = secrets.token_hex(8)
        held = [keys.shared_lease(name) for name in names]
        key = self._take(held, owner)
        if key is None:
            busy()
        while key is None:
            check()
            time.sleep(POLL)
            key = self._take(held, owner)
        self._note(key, owner)
        try:
            yield
        finally:
            self._release(key, owner)

    def _release(self, key: str, owner: str) -> None:
        """What was done meanwhile is done: when Redis is away, the lease runs out by itself."""
        with self._lock:
            self._held.pop(key, None)
            try:
                self._client.eval(RELEASE, 1, key, owner)
            except redis.RedisError:
                log.warning("the lease %s could not be given back and runs out", key, exc_info=True)

    def _take(self, held: Sequence[str], owner: str) -> str | None:
        return next((key for key in held if self._client.set(key, owner, nx=True, px=self._lifetime)), None)

    def _note(self, key: str, owner: str) -> None:
        """One thread renews all leases of the process, as long as there are any."""
        with self._lock:
            self._held[key] = owner
            if not self._renewing:
                self._renewing = True
                threading.Thread(target=self._renew, name="leases", daemon=True).start()

    def _renew(self) -> None:
        while True:
            time.sleep(self._lifetime / 1000 / RENEWALS_PER_LEASE)
            with self._lock:
                held = dict(self._held)
                self._renewing = bool(held)
            if not held:
                return
            for key, owner in held.items():
                self._prolong(key, owner)

    def _prolong(self, key: str, owner: str) -> None:
        with self._lock:
            if self._held.get(key) != owner:  # it was given back meanwhile, and must not be taken again
                return
            try:
                self._client.eval(PROLONG, 1, key, owner, self._lifetime)
            except redis.RedisError:
                log.warning("the lease %s could not be renewed, trying again", key, exc_info=True)
