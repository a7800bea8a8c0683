"""Folders for work in progress, which never outlive their owner for long.

A workspace is held by a file lock that the system drops with the process, whatever ends it. A sweep removes every
workspace that nobody holds, so a worker that was killed leaves nothing behind.
"""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

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
    with ExitStack() as held:
        try:
            fcntl.flock(held.enter_context((folder / LOCK).open("w")), fcntl.LOCK_EX)
            yield folder
        finally:
            shutil.rmtree(folder)


def sweep(root: Path) -> list[Path]:
    """Remove what was left behind below `root`; returns what was removed."""
    removed = []
    for left in sorted(root.iterdir()) if root.is_dir() else []:
        with suppress(FileNotFoundError):  # its owner may be tidying up at this moment
            age = time.time() - left.stat().st_mtime
            if left.is_dir() and left.name.startswith(PREFIX):
                if age > GRACE and not _is_held(left):
                    shutil.rmtree(left)
                    removed.append(left)
            elif left.is_file() and age > STALE_FILE:
                left.unlink()
                removed.append(left)
    return removed


def _is_held(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
