"""The machine's processor cores, shared fairly among the archives that are being read.

Every reading takes a seat: a file in a common folder, held by a lock that the system drops with the process. Whoever
wants to know its share counts the seats, so all processes of the machine agree without asking anybody.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "reading-"


class Cores:
    """`count` cores (all that this process may use, when None), shared by those who name the same `folder`.

    The folder must be on this machine's own disk.
    """

    def __init__(self, folder: Path, count: int | None = None) -> None:
        self.count = count or _available()
        self._folder = folder

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Count as one reading as long as the block runs."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # whoever can open a seat can hold it
        while True:
            with tempfile.NamedTemporaryFile(prefix=PREFIX, dir=self._folder, delete=False) as seat:
                fcntl.flock(seat, fcntl.LOCK_EX)
                if not os.fstat(seat.fileno()).st_nlink:  # somebody took it for one that was left
                    continue
                try:
                    yield
                finally:
                    Path(seat.name).unlink(missing_ok=True)
                return

    def share(self) -> int:
        """How many cores one reading may use now: at least one."""
        readings = sum(_is_taken(seat) for seat in self._folder.glob(PREFIX + "*"))
        return max(1, self.count // max(1, readings))


def _is_taken(seat: Path) -> bool:
    """Whether somebody holds the seat; one that was left by a process that died is removed."""
    try:
        with seat.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            seat.unlink(missing_ok=True)  # while it is locked, so that nobody is just taking it
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
