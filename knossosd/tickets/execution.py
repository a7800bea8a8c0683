"""One worker's hold on a ticket: the side of those who convert.

An execution is claimed once and ends in `finish` or `hand_back`. While it is held, a thread renews its lease; when the
worker dies, the lease runs out and the reaper takes the ticket over. What an execution writes is fenced by its id, so
that one which was given up for dead cannot disturb its successor.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import redis

from knossosd.conversion.observer import Cancelled, FileProgress, Level, Measure, Snapshot
from knossosd.tickets import events, keys, questions, scripts
from knossosd.tickets.connection import Answer, Outage, connect_once, patiently
from knossosd.tickets.ending import Ended, Outcome, end, new_ending
from knossosd.tickets.measures import Measured, Tally
from knossosd.tickets.record import Ticket
from knossosd.tickets.store import Tickets

log = logging.getLogger(__name__)

MAX_LOG_LINES = 5000
"""Log lines of one execution that are kept. No reader follows more, and 10,000 bad files must not fill Redis."""

RENEWALS_PER_LEASE = 3
"""One lost renewal must not cost the lease."""

BEAT = 0.5
"""Seconds between two renewals at most: by them a worker notices that its ticket was cancelled."""

RECORDED = 3600
"""Seconds for which it is known that what an execution measured is recorded: longer than anybody tries."""

ANSWER_POLL = 1.0
"""Seconds between two looks whether a conversion that waits for an answer was called off."""


class Execution:
    """A held ticket, and the `Observer` of its conversion.

    As a context manager it renews the lease, and while Redis is away or takes nothing in, whoever tells an event or
    ends the execution waits. Outside the block, that raises `RedisError`.
    """

    def __init__(self, tickets: Tickets, ticket: Ticket, execution: str) -> None:
        self.ticket = ticket
        self._tickets = tickets
        self._client = tickets.client
        self._id = execution
        self._number = ticket.number
        self._lost = threading.Event()
        self._released = threading.Event()
        self._released.set()
        self._renewal = threading.Thread(target=self._renew, name=f"lease-{ticket.number}", daemon=True)
        self._log_lines = 0
        self._told = 0
        self._telling = threading.Lock()
        self._tally = Tally()
        self._shown = Snapshot(0.0, ())
        self._silence = Outage(f"the progress of ticket {ticket.number}")
        self._captcha: str | None = None
        self._asking = threading.Lock()  # watchers are asked one question at a time

    @classmethod
    def claim(cls, tickets: Tickets, number: int) -> Self | None:
        """Hold a waiting ticket. None when it does not wait, being gone, done, or held by another worker; and when only
        another version understands it, to which it is left."""
        if tickets.get(number) is None and tickets.has(number):
            return None
        return cls._acquire(
            tickets,
            number,
            scripts.CLAIM,
            [keys.record(number), keys.lease(number), keys.QUEUE, keys.WORKING],
            lambda execution, now, lease: [number, execution, now, lease],
        )

    @classmethod
    def take_over(cls, tickets: Tickets, number: int) -> Self | None:
        """Hold a ticket whose worker vanished. None when its worker lives."""
        return cls._acquire(
            tickets,
            number,
            scripts.TAKE_OVER,
            [keys.record(number), keys.lease(number)],
            lambda execution, now, lease: [execution, lease, now],
        )

    @classmethod
    def _acquire(cls, tickets: Tickets, number: int, script: str, names: list[str], arguments: Any) -> Self | None:
        execution, now = secrets.token_hex(8), tickets.now()
        lease = int(tickets.settings.lease_time * 1000)
        names = [*names, keys.TOTALS, keys.slot(now)]
        if not tickets.client.eval(script, len(names), *names, *arguments(execution, now, lease)):
            return None
        ticket = tickets.get(number)
        return cls(tickets, ticket, execution) if ticket else None

    def __enter__(self) -> Self:
        self._released.clear()
        self._renewal.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._renewal.join()
        self._record(self._tally.take())

    # What the conversion tells and asks: the methods of `Observer`.

    def log(self, level: Level, message: str) -> None:
        with self._telling:
            self._log_lines += 1
            if self._log_lines <= MAX_LOG_LINES:
                self._publish("log_message", f"{level.value}: {message}")

    def planned(self, files: Sequence[FileProgress]) -> None:
        places = [{"mod": file.mod, "package": file.package, "file": file.file} for file in files]
        with self._telling:
            self._publish("files", places)

    def progress(self, snapshot: Snapshot) -> None:
        self._shown = snapshot
        try:
            self._show()
            self._silence.end()
        except redis.RedisError as error:
            self._silence.tell(error)

    def finished(self, file: FileProgress) -> None:
        with self._telling:
            self._publish("file", asdict(file))

    def measured(self, measure: Measure, amount: float) -> None:
        self._tally.add(measure, amount)

    def ask(self, image_url: str) -> str | None:
        with self._asking:
            self._run(questions.FORGET_ANSWERS, [keys.record(self._number), keys.answers(self._number)], [self._id])
            self._captcha = image_url
            self._show()
            try:
                return self._wait_for_answer()
            finally:
                self._captcha = None
                self._show()

    def check(self) -> None:
        if self._lost.is_set():
            raise Cancelled

    # How an execution ends.

    def finish(self, outcome: Outcome) -> Ended | None:
        """Record the outcome. None, and nothing is recorded, when the ticket is not ours any more: it was called off or
        removed, or another worker holds it."""
        with self._telling:
            if self._log_lines > MAX_LOG_LINES:
                self._publish("log_message", f"WARNING: … {self._log_lines - MAX_LOG_LINES} lines left out")
        measured, ending = self._tally.take(), new_ending()
        ended = self._insist(
            "the end", lambda: end(self._tickets, self.ticket, outcome, self._id, measured, ending=ending)
        )
        if ended is None:
            self._record(measured)
        return ended

    def hand_back(self, why: str) -> bool:
        """Put the ticket back in the queue, for another worker, and tell those who watch why. The caller wakes one.
        False when the ticket is not ours any more."""
        number = self._number
        names = [keys.record(number), keys.lease(number), keys.QUEUE, keys.WORKING, keys.events(number)]
        line = json.dumps([f"{Level.WARNING.value}: {why}"])
        return self._insist(
            "the return",
            lambda: self._run(scripts.HAND_BACK, names, [number, self._id, self._tickets.now(), keys.NEWS, line]),
        )

    def _record(self, measured: Measured) -> None:
        """Record what did not go along with an outcome: the ticket was handed back, or ended by somebody else."""
        if measured:
            try:
                names = [keys.recorded(self._id), keys.TOTALS, keys.slot(self._tickets.now())]
                self._client.eval(scripts.RECORD, len(names), *names, RECORDED, measured.as_json())
            except redis.RedisError as error:
                log.warning("what ticket %d cost could not be recorded: %s", self._number, error)

    def _publish(self, name: str, *arguments: Any) -> None:
        """Tell an event, once, and before the next one."""
        self._told += 1
        event = [self._id, keys.NEWS, self._told, *_flat(events.encode(name, *arguments))]
        names = [keys.record(self._number), keys.events(self._number)]
        self._insist("an event", lambda: not self._lost.is_set() and self._run(scripts.PUBLISH, names, event))

    def _insist(self, what: str, step: Callable[[], Answer]) -> Answer:
        """Take the step, as soon as Redis lets us.

        Who ends an execution asks also when the ticket is not ours any more: that may be so because it has ended, and
        the answer was lost.
        """
        return patiently(
            f"{what} of ticket {self._number}",
            step,
            pause=lambda: self._released.wait(BEAT),
            is_over=self._released.is_set,
        )

    def _wait_for_answer(self) -> str | None:
        deadline = time.monotonic() + self._tickets.settings.answer_timeout
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            answer = questions.wait_for_answer(self._client, self._number, min(left, ANSWER_POLL))
            if answer is not None:
                return answer
        return None

    def _show(self) -> None:
        shown, captcha = self._shown, self._captcha
        files = tuple(asdict(file) for file in shown.running)
        current = events.Now(shown.fraction, shown.text, files, captcha)
        self._run(
            scripts.SHOW,
            [keys.record(self._number), keys.now(self._number)],
            [self._id, keys.NEWS, shown.fraction, shown.text, captcha or "", *_flat(events.encode_now(current))],
        )

    def _run(self, script: str, names: list[str], arguments: list[Any]) -> bool:
        """Run a fenced script; when it refuses, the ticket is not ours any more."""
        held = bool(self._client.eval(script, len(names), *names, *arguments))
        if not held:
            self._lost.set()
        return held

    def _renew(self) -> None:
        lease = self._tickets.settings.lease_time
        names = [keys.record(self._number), keys.lease(self._number)]
        outage = Outage(f"the lease of ticket {self._number}")
        with connect_once(self._tickets.settings, "lease") as client:  # patience would come too late
            while not self._released.wait(min(BEAT, lease / RENEWALS_PER_LEASE)):
                try:
                    if not client.eval(scripts.RENEW, len(names), *names, self._id, int(lease * 1000)):
                        self._lost.set()
                        return
                    outage.end()
                except redis.RedisError as error:
                    outage.tell(error)


def _flat(entry: dict[str, str]) -> list[str]:
    return [part for pair in entry.items() for part in pair]
