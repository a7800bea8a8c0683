"""The files of uploads that come in parts: each part is written to its place in one file that has its full size from
the beginning, so nothing is copied when all are there, and the disk cannot fill up in between.

An upload has a folder with a lock: who writes shares it for a moment, who finishes has it alone. Then the file has
another name, under which nobody writes.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Self

from knossosd.conversion.digest import CHUNK, Digester
from knossosd.conversion.disposable import Disposable, clock_of, status_of
from knossosd.conversion.errand import Check
from knossosd.repo.contents import Digest
from knossosd.settings import Settings

LOCK, OPEN, SEALED = ".held", "content", "sealed"

PATIENCE, POLL = 5.0, 0.05
"""Seconds that who finishes waits for those who write, each of whom needs a moment, and between two looks."""

Advance = Callable[[int], None]


class InUse(Exception):
    """Somebody else holds the file."""


class Gone(Exception):
    """There is no such file (any more), or it takes nothing more."""


class Examined(NamedTuple):
    """The digest of a whole file, and the numbers of the parts that are not what was sent."""

    digest: Digest
    damaged: list[int]


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The files below `folder`, which is on the mirror's file system; each is kept for `lifetime` seconds after it was
    last written to.

    Every method may wait for the disk, and raises `OSError` when that fails.
    """

    folder: Path
    lifetime: float
    clock: Callable[[], float] = time.time

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The files of an installation."""
        return cls(settings.parts_path, settings.parts_lifetime, clock_of(settings.work_path))

    def reserve(self, name: str, size: int) -> None:
        """Make a file of `size` bytes, which has its room on the disk although nothing was written yet."""
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True)  # whoever can open the lock can hold it
        try:
            (folder / LOCK).touch()
            with (folder / OPEN).open("xb") as file:
                _allocate(file.fileno(), size)
        except BaseException:
            self.discard(name)
            raise

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return any((self.folder / name / file).exists() for file in (OPEN, SEALED))

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write `data` to its place. Raises `Gone`."""
        try:
            with self._lock(name, fcntl.LOCK_SH), (self.folder / name / OPEN).open("r+b", buffering=0) as file:
                if os.fstat(file.fileno()).st_nlink > 1:  # the store has it as well
                    raise Gone
                file.seek(offset)
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
        except (FileNotFoundError, InUse):
            raise Gone from None

    @contextmanager
    def sealed(self, name: str) -> Iterator[Path]:
        """The file, to which nobody can write from now on. Raises `InUse` when somebody else has it so, and `Gone`.

        When there is not even the folder of all uploads, the disk is not there, which says nothing of this one.
        """
        if not self.folder.is_dir():
            raise OSError(errno.ENODEV, "the uploads in parts are not there", str(self.folder))
        sealed = self.folder / name / SEALED
        with self._alone(name):
            with suppress(FileNotFoundError):  # it was sealed before, and whoever did that was killed
                (self.folder / name / OPEN).rename(sealed)
            try:
                os.utime(sealed)
            except FileNotFoundError:
                raise Gone from None
            yield sealed

    def reopen(self, name: str) -> None:
        """Let the file, which the caller has sealed, take more."""
        (self.folder / name / SEALED).rename(self.folder / name / OPEN)

    def discard(self, name: str) -> None:
        """Remove the file, if it is there, whoever uses it."""
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def abandoned(self) -> list[Disposable]:
        """What nobody has written to for too long."""
        folders = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        found = [one for folder in folders if (one := _contents(folder))]
        now = self.clock() if found else 0.0
        return [one for one in found if now - one.used > self.lifetime]

    def sweep(self) -> list[Disposable]:
        """Remove all that; returns what went. Of several sweeps at once, one removes each."""
        return [one for one in self.abandoned() if _is_removed(one.path)]

    def _alone(self, name: str) -> IO[bytes]:
        """The lock, when nobody else holds it, until it is closed."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._lock(name, fcntl.LOCK_EX)
            except InUse:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL)

    def _lock(self, name: str, kind: int) -> IO[bytes]:
        """The lock, held until it is closed. Raises `InUse` and `Gone`."""
        try:
            lock = (self.folder / name / LOCK).open("r+b")
        except FileNotFoundError:
            raise Gone from None
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InUse from None
        return lock


def examine(
    file: Path, parts: int, part_size: int, sent: Mapping[int, str], *, advance: Advance, check: Check
) -> Examined:
    """Read a whole file of so many `parts` of `part_size` bytes, which were sent with these sha256, by number.

    `advance` is told the bytes that were read so far. Raises what `check` raises.
    """
    digester, damaged = Digester(), []
    with file.open("rb") as content:
        for number in range(parts):
            part, left = hashlib.sha256(), part_size
            while left and (data := content.read(min(CHUNK, left))):
                check()
                digester.update(data)
                part.update(data)
                left -= len(data)
                advance(digester.size)
            if part.hexdigest() != sent.get(number):
                damaged.append(number)
    return Examined(digester.digest(), damaged)


def _allocate(descriptor: int, size: int) -> None:
    """Give the file its size; where the system can do that, with the room for it."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _contents(folder: Path) -> Disposable | None:
    """The folder of an upload, with the room that it takes, and when it was last written to; None when it has just
    gone."""
    statuses = [status for path in (folder, folder / OPEN, folder / SEALED) if (status := status_of(path))]
    size = sum(status.st_blocks * 512 for status in statuses[1:])
    return Disposable(folder, size, max(status.st_mtime for status in statuses)) if statuses else None


def _is_removed(folder: Path) -> bool:
    """Whether it was us who removed it."""
    gone = folder.with_name(f".{folder.name}.{time.monotonic_ns()}")
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True
