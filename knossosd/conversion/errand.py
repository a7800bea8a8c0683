"""Work that can be called off from outside, whatever its threads are waiting for.

A thread that is busy asks `check` now and then, one that waits does so every `TICK`, and where it can do neither, it
waits `apart` or inside `waking`.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TypeVar

from knossosd.conversion.observer import Cancelled

TICK = 0.2
"""Seconds between two looks whether something goes on: several fit into the second within which it has to stop."""

Check = Callable[[], None]
"""Raises when something shall not go on. Whatever takes long asks it, several times a second."""

Result = TypeVar("Result")
Thing = TypeVar("Thing")
Why = Callable[[], Exception]
"""Makes the exception that tells a thread why it has to stop: one for each thread."""


class Errand:
    """What the threads of one conversion, or of a part of it, are busy with. All methods are for any thread."""

    def __init__(self) -> None:
        self._deadline = math.inf
        self._too_late: Why = Cancelled
        self._why: Why | None = None
        self._called_off = threading.Event()
        self._wakers: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def call_off(self, why: Why = Cancelled) -> None:
        """Let every `check` raise what `why` makes from now on, and wake those who wait. Only the first call counts."""
        with self._lock:
            if self._why is None:
                self._why = why
                self._called_off.set()
                for wake in self._wakers:
                    wake()

    def check(self) -> None:
        """Raise when the errand was called off, or its time is over."""
        if time.monotonic() >= self._deadline:
            self.call_off(self._too_late)
        if self._why is not None:
            raise self._why()

    def pause(self, seconds: float) -> None:
        """Wait so long. Raises what `check` raises, and then at once."""
        self._called_off.wait(seconds)
        self.check()

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake` from another thread when the errand is called off while the block runs.

        `wake` must be quick. Raises what `check` raises, when it is too late to be woken.
        """
        with self._lock:
            self._wakers.append(wake)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)

    def apart(self, work: Callable[[], Result], discard: Callable[[Result], object] = lambda _: None) -> Result:
        """The result of `work`, which nobody can interrupt, from a thread of its own.

        When the errand is called off the thread is left behind, and `discard` gets what it still brings. Raises what
        `work` or `check` raises.
        """
        outcome: Future[Result] = Future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  # it is raised where the result is waited for
                with suppress(InvalidStateError):
                    outcome.set_exception(error)
                return
            try:
                outcome.set_result(result)
            except InvalidStateError:  # nobody waits any more
                discard(result)

        with self.waking(outcome.cancel):
            threading.Thread(target=run, name="apart", daemon=True).start()
            try:
                return outcome.result()
            except CancelledError:
                self.check()
                raise

    @contextmanager
    def limited(self, seconds: float, too_late: Why) -> Iterator["Errand"]:
        """A part of the errand, which is called off with the whole, and with what `too_late` makes after so many
        seconds. Nothing of it goes on when the block is left."""
        part = Errand()
        part._deadline, part._too_late = time.monotonic() + seconds, too_late
        alarm = threading.Timer(min(seconds, threading.TIMEOUT_MAX), part.call_off, [too_late])
        alarm.daemon = True
        with self.waking(lambda: part.call_off(self._why or Cancelled)):
            alarm.start()
            try:
                yield part
            finally:
                part.call_off()
                alarm.cancel()
                alarm.join()


def checked(things: Iterable[Thing], check: Check) -> Iterator[Thing]:
    """The things, as long as it may go on."""
    for thing in things:
        check()
        yield thing
