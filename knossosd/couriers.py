"""Threads that do what has to wait for sites: some at once, but never two for the same site.

A site that hangs holds one thread up, and with it only what is for that site.
"""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Sites that are waited for at the same time."""


class Couriers:
    """They call `attempt` with every delivery that they are sent with.

    A thread lives for one attempt. What waits here is forgotten with the process; whoever sends keeps it until then.
    """

    def __init__(self, attempt: Callable[[str], object]) -> None:
        self._attempt = attempt
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[str, None]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._ended = False

    def send(self, delivery: str, site: str) -> None:
        """Have the attempt made as soon as the site is free. Nothing happens when the delivery waits already."""
        with self._lock:
            if not self._ended:
                self._waiting.setdefault(site, {})[delivery] = None
                self._set_out()

    def end(self, patience: float) -> None:
        """Begin no further attempt, and wait for those that were begun, so many seconds: what cannot be noted then, for
        Redis is away, will be tried again."""
        deadline = time.monotonic() + patience
        with self._lock:
            self._ended = True
            self._waiting.clear()
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _set_out(self) -> None:
        for site in list(self._waiting):
            if len(self._threads) < AT_ONCE and site not in self._threads:
                delivery = self._next(site)
                thread = threading.Thread(target=self._carry, args=(site, delivery), name="courier", daemon=True)
                thread.start()  # which fails when the system lets us have no more
                self._threads[site] = thread

    def _carry(self, site: str, delivery: str) -> None:
        try:
            self._attempt(delivery)
        except Exception:  # the border of the thread: the next one is not to blame
            log.exception("an attempt of the delivery %s failed", delivery)
        finally:
            with self._lock:
                del self._threads[site]
                self._set_out()

    def _next(self, site: str) -> str:
        """The site's oldest delivery; the site's others wait behind the other sites'."""
        line = self._waiting.pop(site)
        delivery = next(iter(line))
        del line[delivery]
        if line:
            self._waiting[site] = line
        return delivery
