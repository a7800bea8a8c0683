"""Holding something that only some may hold at a time: the download of one link, a connection to one host.

Conversions that run side by side agree through `Leases`, so that nothing is done twice, and no host is asked for too
much. Nobody relies on them for a right result: who converts in the foreground has leases of his own, and an outage of
Redis that is longer than a lease loses it. What must never happen at once is guarded by locks in the file system.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

POLL = 0.2
"""Seconds between two looks whether a lease is free."""


class Leases(Protocol):
    """What may be held, by name."""

    def hold(
        self, names: Sequence[str], *, busy: Callable[[], None], check: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Hold one of the `names` as long as the block runs, waiting until one is free.

        `busy` is called once, when there is something to wait for; `check` raises when the wait was called off.
        """


class LocalLeases:
    """The leases of one process, whose threads share them."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, names: Sequence[str], *, busy: Callable[[], None], check: Callable[[], None]) -> Iterator[None]:
        name = self._take(names)
        if name is None:
            busy()
        while name is None:
            check()
            with self._changed:
                self._changed.wait(POLL)
            name = self._take(names)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(name)
                self._changed.notify_all()

    def _take(self, names: Sequence[str]) -> str | None:
        with self._changed:
            free = next((name for name in names if name not in self._held), None)
            if free is not None:
                self._held.add(free)
            return free
