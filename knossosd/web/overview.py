"""One reader of what operators see, for all operators of this web process.

Redis tells that something has changed; what has, is then read once, and handed to whoever looks, if it is not what they
have seen. However much happens, each section is read once in `PACE` at most. What Redis cannot tell, such as a process
that was killed, is looked at every few seconds. While nobody looks, nothing is read.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gevent
import redis
from gevent.event import Event as Signal

from knossosd.tickets import keys
from knossosd.tickets.workers import BEAT
from knossosd.web.sections import AFFECTED, Section, Sections

log = logging.getLogger(__name__)

PACE = 0.5
"""Seconds between two readings: as often as somebody can follow."""

SAMPLE = 60.0
"""Seconds between two readings of the last day, which `upkeep` adds to as often."""

LIVE = frozenset(Section) - {Section.DAY}
"""What may be different from one moment to the next."""

LISTENING = 1.0
"""Seconds that a wait for changes lasts at most."""

PAUSE = 1.0
"""Seconds before the next try when Redis is away."""

AWAY = "The server cannot reach its database."
FAILED = "The server failed to read what goes on. Its log has the reason."


class Operator(Protocol):
    """Somebody who looks."""

    def show(self, name: str, text: str) -> None:
        """Show the section `name`, a JSON text, in place of what it was before. Must not wait."""


class Overview:
    """The reader of one process: reads `sections`, and listens over `client`.

    Besides them it shows the section `trouble`: why nothing else is shown at the moment, or null.
    """

    def __init__(self, client: redis.Redis, sections: Sections) -> None:
        self._client = client
        self._sections = sections
        self._operators: list[Operator] = []
        self._shown: dict[str, str] = {}
        self._stale: set[Section] = set()
        self._is_stale = Signal()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    @contextmanager
    def shown_to(self, operator: Operator) -> Iterator[None]:
        """Show everything to the operator, now and whenever it changes, until the block is left."""
        self._operators.append(operator)
        if len(self._operators) == 1:
            self._begin()
        for name, text in self._shown.items():
            operator.show(name, text)
        self._note(LIVE)  # if anything was missed, a look is enough to see it
        try:
            yield
        finally:
            self._operators.remove(operator)
            if not self._operators:
                self._end()

    def _begin(self) -> None:
        self._note(Section)
        work = (self._listen, self._read)
        self._greenlets = [gevent.spawn(self._for_ever, one) for one in work]
        self._greenlets += [
            gevent.spawn(self._look_every, BEAT, Section.NOW),
            gevent.spawn(self._look_every, SAMPLE, Section.DAY),
        ]

    def _end(self) -> None:
        gevent.killall(self._greenlets, block=False)
        self._greenlets = []
        self._shown = {}

    def _for_ever(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except redis.RedisError as error:
                log.warning("what operators see cannot be read, trying again: %s", error)
                self._show("trouble", AWAY)
            except Exception:  # the border: nobody else would tell those who look
                log.exception("what operators see cannot be read")
                self._show("trouble", FAILED)
            self._note(Section)
            gevent.sleep(PAUSE)

    def _look_every(self, seconds: float, section: Section) -> None:
        while True:
            gevent.sleep(seconds)
            self._note([section])

    def _listen(self) -> None:
        with self._client.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(keys.NEWS, keys.CHANGES)
            while True:
                match subscription.get_message(timeout=LISTENING):
                    case {"type": "message", "channel": keys.CHANGES, "data": change}:
                        self._note(AFFECTED.get(change, ()))
                    case {"type": "message", "data": stream} if keys.is_now(stream):
                        self._note([Section.RUNNING])
                    case {"type": "subscribe"}:  # also when the connection was lost, and changes with it
                        self._note(LIVE)

    def _note(self, sections: Iterable[Section]) -> None:
        self._stale.update(sections)
        self._is_stale.set()

    def _read(self) -> None:
        while True:
            self._is_stale.wait()
            self._is_stale.clear()
            stale, self._stale = self._stale, set()
            for section in sorted(stale):
                self._show(section, self._sections.read(section))
            self._show("trouble", None)
            gevent.sleep(PACE)

    def _show(self, name: str, value: Any) -> None:
        text = json.dumps(value, separators=(",", ":"))
        if self._shown.get(name) != text:
            self._shown[name] = text
            for operator in list(self._operators):
                operator.show(name, text)
