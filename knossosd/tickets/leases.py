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
from knossosd.tickets.connection import Outage, patiently
from knossosd.tickets.execution import RENEWALS_PER_LEASE
from knossosd.tickets.scripts import SHORTEN

log = logging.getLogger(__name__)

TAKE = f"""
{SHORTEN}
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
shorten(KEYS[1], ARGV[2])
return 0
"""
PROLONG = """
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""The key of these three is the lease; arguments: owner, and but for the last, the lifetime in milliseconds. Only the
owner may prolong and release. A lease that ran out while Redis was away may be taken again, if nobody was quicker."""


class SharedLeases:
    """The leases of one process among those of all others, each good for `lifetime` seconds.

    They are what `knossosd.conversion.leases.Leases` asks for. `quick` is a client that gives up soon.
    """

    def __init__(self, client: redis.Redis, quick: redis.Redis, lifetime: float) -> None:
        self._client = client
        self._quick = quick
        self._lifetime = int(lifetime * 1000)
        self._held: dict[str, _Lease] = {}
        self._lock = threading.Lock()
        self._renewing = False

    @contextmanager
    def hold(self, names: Sequence[str], *, busy: Callable[[], None], check: Callable[[], None]) -> Iterator[None]:
        owner = secrets.token_hex(8)
        wanted = [keys.shared_lease(name) for name in names]
        key = self._take(wanted, owner, check)
        if key is None:
            busy()
        while key is None:
            check()
            time.sleep(POLL)
            key = self._take(wanted, owner, check)
        lease = _Lease(self._quick, key, owner, self._lifetime)
        self._note(lease)
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(key, None)
            lease.give_back()

    def _take(self, wanted: Sequence[str], owner: str, check: Callable[[], None]) -> str | None:
        """The first lease that is free, None when there is none. While Redis is away, nobody can say: this waits."""

        def try_all() -> str | None:
            return next((key for key in wanted if self._client.eval(TAKE, 1, key, owner, self._lifetime)), None)

        def pause() -> None:
            check()
            time.sleep(POLL)

        return patiently("a lease", try_all, pause)

    def _note(self, lease: "_Lease") -> None:
        """One thread renews all leases of the process, as long as there are any."""
        with self._lock:
            self._held[lease.key] = lease
            if not self._renewing:
                self._renewing = True
                threading.Thread(target=self._renew, name="leases", daemon=True).start()

    def _renew(self) -> None:
        while True:
            time.sleep(self._lifetime / 1000 / RENEWALS_PER_LEASE)
            with self._lock:
                held = list(self._held.values())
                self._renewing = bool(held)
            if not held:
                return
            for lease in held:
                lease.prolong()


class _Lease:
    """One lease that is held, until it was given back; then nobody takes it again in its owner's name."""

    def __init__(self, client: redis.Redis, key: str, owner: str, lifetime: int) -> None:
        self.key = key
        self._client = client
        self._owner = owner
        self._lifetime = lifetime
        self._is_held = True
        self._outage = Outage(key)
        self._lock = threading.Lock()

    def prolong(self) -> None:
        with self._lock:
            if self._is_held:
                try:
                    self._run(PROLONG, self._lifetime)
                    self._outage.end()
                except redis.RedisError as error:
                    self._outage.tell(error)

    def give_back(self) -> None:
        """What was done meanwhile is done: when Redis is away, the lease runs out by itself."""
        with self._lock:
            self._is_held = False
            try:
                self._run(RELEASE)
            except redis.RedisError as error:
                log.warning("%s could not be given back: %s", self.key, error)

    def _run(self, script: str, *arguments: int) -> None:
        self._client.eval(script, 1, self.key, self._owner, *arguments)
