"""Checksums and sizes of bytes that pass by once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from knossosd.repo.contents import Digest

CHUNK = 1024 * 1024
"""Bytes per read: large enough that hashing, which releases the interpreter lock, outweighs the loop around it."""


class Digester:
    """Feed it bytes; ask for the `Digest` of all that came so far."""

    def __init__(self) -> None:
        self.size = 0
        # Not for security: these are the checksums that the formats ask for.
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        self._md5.update(data)
        self._sha256.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        return Digest(self.size, self._md5.hexdigest(), self._sha256.hexdigest())


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of the file at `path`, in chunks of `CHUNK` bytes."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def digest_file(path: Path) -> Digest:
    """The `Digest` of the file at `path`."""
    digester = Digester()
    for chunk in read_chunks(path):
        digester.update(chunk)
    return digester.digest()
