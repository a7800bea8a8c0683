"""What may be removed from the disk."""

import os
from pathlib import Path
from typing import NamedTuple


class Disposable(NamedTuple):
    """A file or folder that may be removed: the bytes that this frees, and when it was last of use (epoch seconds)."""

    path: Path
    size: int
    used: float


def status_of(path: Path) -> os.stat_result | None:
    """The file's status; None when there is none, or none any more."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
