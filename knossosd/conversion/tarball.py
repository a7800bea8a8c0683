"""Tars, read as a stream: compressed ones while 7-Zip unpacks them."""

import tarfile
from collections.abc import Callable, Iterator
from typing import Protocol

from knossosd.conversion.digest import CHUNK, Digester
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Digest, Member

BLOCK = 512
"""Bytes of a tar's header."""


class Readable(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes: ...


class ChunkReader:
    """Chunks as a file to read from once. `peek` looks at the beginning without reading it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()

    def peek(self, size: int) -> bytes:
        self._fill(size)
        return bytes(self._buffer[:size])

    def read(self, size: int, /) -> bytes:
        self._fill(size)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                return
            self._buffer += chunk


def is_tar(beginning: bytes) -> bool:
    """Whether a file that begins with these `BLOCK` bytes is a tar; also an old one that does not say so."""
    try:
        tarfile.TarInfo.frombuf(beginning, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def read_tar(file: Readable, advance: Callable[[int], None], max_members: int) -> tuple[list[Member], list[str]]:
    """The regular files of a tar, in order, and the names of what is left out: links that lead nowhere, devices.

    A hard link to an earlier file is a regular file after unpacking. `advance` is told the bytes of members read so
    far. Raises `InputFault` when the tar is corrupt or has more than `max_members` entries.
    """
    members: list[Member] = []
    known: dict[str, Digest] = {}
    left_out: list[str] = []
    read = 0
    try:
        # tarfile's stream mode needs nothing of a file but `read`.
        with tarfile.open(fileobj=file, mode="r|", bufsize=CHUNK) as tar:  # type: ignore[call-overload]
            for count, info in enumerate(tar, 1):
                if count > max_members:
                    raise InputFault(
                        Code.ARCHIVE_TOO_LARGE, f"The archive holds more than {max_members} files.", "Split it."
                    )
                tar.members = []  # else every header stays in memory
                if info.isreg() or info.type == tarfile.GNUTYPE_SPARSE:
                    content = tar.extractfile(info)
                    assert content is not None
                    digester = Digester()
                    while chunk := content.read(CHUNK):
                        digester.update(chunk)
                        read += len(chunk)
                        advance(read)
                    known[info.name] = digester.digest()
                elif info.islnk() and info.linkname in known:
                    known[info.name] = known[info.linkname]
                else:
                    left_out += [] if info.isdir() else [info.name]
                    continue
                members.append(Member(info.name, known[info.name]))
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise InputFault(
            Code.ARCHIVE_CORRUPT, f"The tar inside the archive is damaged: {error}.", "Pack and upload it again."
        ) from error
    return members, left_out
