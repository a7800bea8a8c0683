"""The processes that live, by the sign of life that each of them gives every few seconds.

A process that ends takes its sign away; that of one which was killed runs out.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self, cast

import redis

from knossosd.tickets import keys
from knossosd.tickets.changes import Change
from knossosd.tickets.connection import Outage
from knossosd.tickets.understanding import understood

BEAT = 5.0
"""Seconds between two signs of life."""

LIFETIME = 3 * BEAT
"""Seconds that a sign is believed: one that was lost must not mean that the process is."""

FAREWELL = 3.0
"""Seconds that an ending process tries to take its sign away; Redis may be away itself."""


@dataclass(frozen=True, slots=True)
class Living:
    """A process that lives: its program ("web", "worker", "upkeep") and since when, in epoch seconds.

    `ticket` is what a worker works on now, `watchers` how many watch conversions through a web process. `silent` are
    the seconds since its last sign.
    """

    kind: str
    host: str
    pid: int
    since: float
    ticket: int | None = None
    watchers: int = 0
    silent: float = field(default=0.0, compare=False)

    @classmethod
    def from_sign(cls, sign: str, silent: float) -> Self | None:
        """The process that gave this sign; one of a newer version may say more than we understand. None when we
        understand too little."""
        return understood("a sign of life", lambda: cls._read(sign, silent))

    @classmethod
    def _read(cls, sign: str, silent: float) -> Self:
        said = json.loads(sign)
        known = {one.name: said[one.name] for one in fields(cls) if one.name in said}
        return cls(**{**known, "silent": silent})


def living(client: redis.Redis) -> list[Living]:
    """Every process that lives, those of one program together, the oldest first."""
    names = sorted(cast(set[str], client.smembers(keys.PROCESSES)))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.get(keys.process(name))
            pipe.pttl(keys.process(name))
        answers = pipe.execute()
    found: list[Living] = []
    gone: list[str] = []
    for name, sign, left in zip(names, answers[::2], answers[1::2], strict=True):
        if sign is None:
            gone.append(name)
            continue
        if left > LIFETIME * 1000:  # the clock was set back: who lives will give another one
            client.pexpire(keys.process(name), int(LIFETIME * 1000))
        if one := Living.from_sign(sign, max(0.0, LIFETIME - max(left, 0) / 1000)):
            found.append(one)
    if gone:
        client.srem(keys.PROCESSES, *gone)
    return sorted(found, key=lambda one: (one.kind, one.since, one.pid))


class Heartbeat:
    """The sign of life of this process, which is of the program `kind`; a thread gives it.

    `client` should give up soon: a sign that comes late is worth nothing. `watchers` counts those that the process has,
    and `now` is the clock, epoch seconds.
    """

    def __init__(
        self,
        client: redis.Redis,
        kind: str,
        watchers: Callable[[], int] = lambda: 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._watchers = watchers
        self._living = Living(kind, socket.gethostname(), os.getpid(), now())
        self._name = secrets.token_hex(8)
        self._news = threading.Event()
        self._ending = False
        self._silence = Outage("the sign that this process lives")
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Show that the process lives, until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Take the sign away: the process ends."""
        self._ending = True
        self._news.set()
        self._thread.join(FAREWELL)

    @contextmanager
    def at_work(self, ticket: int | None) -> Iterator[None]:
        """Show that the process works on the ticket, meanwhile."""
        self._show(ticket)
        try:
            yield
        finally:
            self._show(None)

    def _show(self, ticket: int | None) -> None:
        self._living = replace(self._living, ticket=ticket)
        self._news.set()

    def _beat(self) -> None:
        while not self._ending:
            self._try(self._give_sign)
            self._news.wait(BEAT)
            self._news.clear()
        self._try(self._take_away)

    def _try(self, step: Callable[[], Any]) -> None:
        try:
            step()
            self._silence.end()
        except redis.RedisError as error:
            self._silence.tell(error)

    def _give_sign(self) -> None:
        lifetime = int(LIFETIME * 1000)
        said = replace(self._living, watchers=self._watchers())
        with self._client.pipeline() as pipe:
            pipe.set(keys.process(self._name), json.dumps(asdict(said)), px=lifetime)
            pipe.sadd(keys.PROCESSES, self._name)
            pipe.pexpire(keys.PROCESSES, lifetime)
            pipe.publish(keys.CHANGES, Change.PROCESSES.value)
            pipe.execute()

    def _take_away(self) -> None:
        with self._client.pipeline() as pipe:
            pipe.delete(keys.process(self._name))
            pipe.srem(keys.PROCESSES, self._name)
            pipe.publish(keys.CHANGES, Change.PROCESSES.value)
            pipe.execute()
