"""The board on which the running stages of a conversion are chalked up.

The pipeline's threads write how far their archive is; the observer gets a snapshot of the whole a few times a second,
however often they write.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from knossosd.conversion.observer import FileProgress, Observer, Snapshot, Stage

INTERVAL = 0.25
"""Seconds between two snapshots: smooth to the eye, light on the network."""

BEHIND = {
    Stage.WAITING: 0.0,
    Stage.DOWNLOADING: 0.0,
    Stage.INSPECTING: 0.5,
    Stage.DONE: 1.0,
    Stage.MIRRORING: 1.0,
    Stage.FAILED: 1.0,
}
"""How much of an archive's whole way lies behind it when a stage begins."""

LENGTH = {Stage.DOWNLOADING: 0.5, Stage.INSPECTING: 0.5}
"""How much of the whole way a running stage makes up."""

LATELY = 5.0
"""Seconds of which the rate of an archive is the mean: soon true again when a host grows slow, and still calm."""

RUNNING = {Stage.DOWNLOADING, Stage.INSPECTING, Stage.MIRRORING}


class Board:
    """One board for the archives of a conversion. `clock` gives seconds and never runs backwards."""

    def __init__(self, observer: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._clock = clock
        self._lock = threading.Lock()
        self._tracks: list[Track] = []
        self._last_shown = clock() - INTERVAL

    def track(self, mod: str, package: str, file: str) -> "Track":
        """A line on the board for one archive."""
        track = Track(self, FileProgress(mod, package, file, Stage.WAITING))
        with self._lock:
            self._tracks.append(track)
        return track

    def opened(self) -> None:
        """Tell the observer of all archives on the board."""
        self._observer.planned([track.progress for track in self._tracks])

    def changed(self) -> None:
        """Show the board when the last time is long enough ago."""
        with self._lock:
            now = self._clock()
            if now - self._last_shown < INTERVAL:
                return
            self._last_shown = now
            snapshot = _snapshot([track.progress for track in self._tracks])
        self._observer.progress(snapshot)

    def ended(self, progress: FileProgress) -> None:
        """Tell the observer that an archive has ended, and how."""
        self._observer.finished(progress)
        self.changed()


@dataclass(slots=True)
class Track:
    """How far one archive is. Written by one thread."""

    board: Board
    progress: FileProgress
    _passed: deque[tuple[float, int]] = field(default_factory=deque)
    """When the running stage had come to how many bytes: one place that is `LATELY` seconds behind, and all since."""

    def begin(self, stage: Stage) -> None:
        """The archive enters a running stage."""
        self._passed.clear()
        self._passed.append((self.board._clock(), 0))
        self.progress = replace(self.progress, stage=stage, done=0, total=None, rate=0.0)
        self.board.changed()

    def advance(self, done: int, total: int | None) -> None:
        """The running stage has come to `done` of `total` bytes."""
        self.progress = replace(self.progress, done=done, total=total, rate=round(self._rate(done)))
        self.board.changed()

    def _rate(self, done: int) -> float:
        """Bytes per second, lately."""
        now, passed = self.board._clock(), self._passed
        if done < passed[-1][1]:  # a download began again
            passed.clear()
        if not passed or now - passed[-1][0] >= INTERVAL:
            passed.append((now, done))
        while len(passed) > 2 and now - passed[1][0] >= LATELY:
            passed.popleft()
        since, before = passed[0]
        return (done - before) / (now - since) if now > since else 0.0

    def rest(self) -> None:
        """The archive is DONE again, as it was told already."""
        self.progress = replace(self.progress, stage=Stage.DONE)
        self.board.changed()

    def end(self, stage: Stage) -> None:
        """The archive is DONE or has FAILED."""
        self.progress = replace(self.progress, stage=stage, rate=0.0)
        self.board.ended(self.progress)


def _snapshot(files: Sequence[FileProgress]) -> Snapshot:
    whole = sum(BEHIND[file.stage] + LENGTH.get(file.stage, 0.0) * file.fraction for file in files)
    running = tuple(file for file in files if file.stage in RUNNING)
    return Snapshot(round(whole / len(files), 4) if files else 0.0, running)
