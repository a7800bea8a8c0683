"""What may be removed from the disk."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Disposable(NamedTuple):
    """A file or folder that may be removed: the bytes that this frees, and when it was last of use (epoch seconds)."""

    path: Path
    size: int
    used: float


def clock_of(folder: Path) -> Callable[[], float]:
    """The clock that stamps what lies in `folder`, which is made when it is asked: epoch seconds.

    Ages of files are judged by it. A network file system has a clock of its own, and this host's may be wrong.
    """

    def now() -> float:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        return folder.stat().st_mtime

    return now


def status_of(path: Path) -> os.stat_result | None:
    """The file's status; None when there is none, or none any more."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
