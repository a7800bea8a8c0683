"""The file that a transfer writes. What comes is gathered to large pieces; while the next ones come, these are written,
hashed and brought to the disk, so that little is left to do when the last byte is there."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import IO

from knossosd.conversion.digest import CHUNK, Digester
from knossosd.repo.contents import Digest

FLUSH_EVERY = 64 * CHUNK
"""Bytes after which the disk gets what was written; not sooner, so that small files are not waited for."""

FLUSHES_AT_ONCE = 8
"""Disks have no use for more."""


class Landing:
    """Writes the empty `file`, which the caller opened and may close at any time: a flush has a descriptor of its own,
    so that nobody has to wait for the disk when the rest of the file is not wanted."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digester = Digester()
        self._gathered: list[bytes] = []
        self._flush: Future[None] | None = None
        self._flushed = 0
        self.size = 0
        """Bytes that came."""

    def add(self, data: bytes) -> None:
        """More came. Raises `OSError` when the disk cannot take it."""
        self._gathered.append(data)
        self.size += len(data)
        if self.size - self._digester.size >= CHUNK:
            self._write()

    def digest(self) -> Digest:
        """The digest of all that came, which is in the file now. Raises `OSError`."""
        self._write()
        self._end_flush()
        return self._digester.digest()

    def start_over(self) -> None:
        """Forget what came."""
        self._end_flush()
        if self._digester.size:  # ext4 flushes a file that was truncated, be it empty, when it is closed
            self._file.seek(0)
            self._file.truncate()
        self._digester = Digester()
        self._gathered.clear()
        self.size = self._flushed = 0

    def _write(self) -> None:
        piece = b"".join(self._gathered)
        self._gathered.clear()
        self._file.write(piece)
        self._digester.update(piece)
        if self._digester.size - self._flushed >= FLUSH_EVERY and (self._flush is None or self._flush.done()):
            self._end_flush()
            self._flushed = self._digester.size
            self._file.flush()
            self._flush = _flushers().submit(_bring_to_disk, os.dup(self._file.fileno()))

    def _end_flush(self) -> None:
        if self._flush is not None:
            self._flush.result()
            self._flush = None


def _bring_to_disk(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def _flushers() -> ThreadPoolExecutor:
    """Made when a process first needs them: a forked worker inherits no threads."""
    return ThreadPoolExecutor(FLUSHES_AT_ONCE, "flush")
