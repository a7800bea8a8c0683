"""Checksums and sizes of bytes that pass by once.

md5 and sha256 do not wait for each other: both release the interpreter lock, so large pieces are given to two threads.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

from knossosd.repo.contents import Digest

CHUNK = 1024 * 1024
"""Bytes per read: large enough that hashing, which releases the interpreter lock, outweighs the loop around it."""

WORTH_A_THREAD = 128 * 1024
"""Bytes from which handing a piece to another thread costs less than it gains."""


class Digester:
    """Feed it bytes; ask for the `Digest` of all that came so far. The bytes must not change afterwards."""

    __slots__ = ("_md5", "_pending", "_sha256", "size")

    def __init__(self) -> None:
        self.size = 0
        # Not for security: these are the checksums that the formats ask for.
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._pending: Future[None] | None = None

    def update(self, data: bytes | memoryview) -> None:
        size = len(data)
        self.size += size
        self._settle()
        if size < WORTH_A_THREAD or not _has_threads():
            self._md5.update(data)
        else:
            self._pending = _threads().submit(self._md5.update, data)
        self._sha256.update(data)

    def digest(self) -> Digest:
        self._settle()
        return Digest(self.size, self._md5.hexdigest(), self._sha256.hexdigest())

    def _settle(self) -> None:
        """Let md5 finish the piece before; it may lag one piece behind sha256, which takes half as long."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None


def digest_bytes(data: bytes | memoryview) -> Digest:
    """The `Digest` of a small content that is there as a whole."""
    return Digest(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), hashlib.sha256(data).hexdigest())


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of the file at `path`, in chunks of `CHUNK` bytes."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def digest_chunks(chunks: Iterable[bytes]) -> Digest:
    """The `Digest` of a content that comes in chunks."""
    digester = Digester()
    for chunk in chunks:
        digester.update(chunk)
    return digester.digest()


def sha256_of(chunks: Iterable[bytes]) -> str:
    """The hex SHA-256 of a content that comes in chunks, which is enough to tell whether it is a known one."""
    sha256 = hashlib.sha256()
    for chunk in chunks:
        sha256.update(chunk)
    return sha256.hexdigest()


def digest_file(path: Path) -> Digest:
    """The `Digest` of the file at `path`."""
    return digest_chunks(read_chunks(path))


@cache
def _has_threads() -> bool:
    """Whether this process can have threads. In the web process, gevent puts greenlets in their place, each of which
    goes on only when the thread that made it waits: whoever waits for it in another thread may wait for ever."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is None or not monkey.is_module_patched("threading")


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads that compute md5, made when a process first needs them: a forked worker inherits no threads."""
    return ThreadPoolExecutor(os.cpu_count(), "md5")
