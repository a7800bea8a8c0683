"""Folders for work in progress, which never outlive their owner for long.

A workspace is held by a file lock that the system drops with the process, whatever ends it. A sweep removes every
workspace that nobody holds, so a worker that was killed leaves nothing behind.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

from knossosd.conversion.disposable import Disposable, clock_of, status_of

PREFIX = "convert-"
LOCK = ".held"
GRACE = 60
"""Seconds in which a young workspace is let alone: its owner may be about to lock it."""

STALE_FILE = 86400
"""Seconds after which a loose file, such as an upload that was cut off by a crash, is removed."""


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A fresh folder below `root`, gone when the block is left. `root` is made when it is missing."""
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield folder
            finally:
                _empty(folder)
    finally:
        _remove_emptied(folder)


def abandoned(root: Path, clock: Callable[[], float] | None = None) -> list[Disposable]:
    """What was left behind below `root`: workspaces that nobody holds, and loose files that are old. `clock` is that of
    `root` unless another one is given."""
    found, now = [], (clock or clock_of(root))()
    for left in sorted(root.iterdir()) if root.is_dir() else []:
        status = status_of(left)
        if status is None:  # its owner has just tidied up
            continue
        # A link to an old content keeps its st_mtime, so what counts is when the file came here.
        age = now - status.st_ctime
        is_workspace = left.is_dir() and left.name.startswith(PREFIX)
        if (is_workspace and age > GRACE and not _is_held(left)) or (left.is_file() and age > STALE_FILE):
            found.append(Disposable(left, _size(left), status.st_ctime))
    return found


def sweep(root: Path, clock: Callable[[], float] | None = None) -> list[Disposable]:
    """Remove all that; returns what went. Of several sweeps at once, one removes each."""
    return [left for left in abandoned(root, clock) if _is_removed(left.path)]


def _is_removed(left: Path) -> bool:
    if left.is_dir():
        return _is_workspace_removed(left)
    try:
        left.unlink()
    except FileNotFoundError:
        return False
    return True


def _is_workspace_removed(left: Path) -> bool:
    try:
        with (left / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _empty(left)
    except BlockingIOError:
        return False
    except FileNotFoundError:  # its owner came never so far, or has just let go of it
        with suppress(FileNotFoundError):
            _empty(left)
    return _remove_emptied(left)


def _empty(folder: Path) -> None:
    """Remove all but the lock: as long as anything is left, a sweep can see whether somebody is at it."""
    for inside in folder.iterdir():
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside)
        elif inside.name != LOCK:
            inside.unlink()


def _remove_emptied(folder: Path) -> bool:
    """Whether it was us who removed it: a sweep and its owner may both be about to."""
    try:
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True


def _is_held(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _size(left: Path) -> int:
    """The bytes that are nowhere else: contents of the store cost nothing here."""
    files = [left, *(Path(folder, name) for folder, _, names in os.walk(left) for name in names)]
    statuses = [status for file in files if (status := status_of(file))]
    return sum(status.st_size for status in statuses if S_ISREG(status.st_mode) and status.st_nlink == 1)
