"""Tars, read as a stream: compressed ones while 7-Zip unpacks them."""

import math
import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, Self

from knossosd.conversion.digest import CHUNK, Digester
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Digest, Member

BLOCK = 512
"""Bytes of a tar's header."""

NOTES = 1024 * 1024
"""Bytes that a tar may say of one file, or of all that follow: long names, attributes, where the holes are."""

MAX_PATH = 4096
"""Characters of a path, which no system takes more of."""


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


class Tar(NamedTuple):
    """What was read: the regular files in order, the names of what is left out (links that lead nowhere, devices), and
    what is odd about the whole."""

    members: list[Member]
    left_out: list[str]
    remarks: list[str]


def read_tar(file: Readable, advance: Callable[[int, int, int], None]) -> Tar:
    """Read a tar to the end of its file.

    A hard link to an earlier file is a regular file after unpacking. `advance` is told the number of entries so far,
    the bytes of all files so far, and those of the file that is being read. Raises `InputFault` when it is corrupt.
    """
    tape = _Tape(file)
    try:
        # tarfile needs no more of a file than a tape can do.
        with tarfile.open(fileobj=tape, mode="r:", tarinfo=_Header) as tar:  # type: ignore[call-overload]
            members, left_out = _read_members(tar, tape, advance)
            return Tar(members, left_out, _remarks(tar, tape))
    except RecursionError as error:
        raise _damaged("it has notes on notes") from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(str(error)) from error


def _damaged(why: str) -> InputFault:
    return InputFault(
        Code.ARCHIVE_CORRUPT, f"The tar inside the archive is damaged: {why}.", "Pack and upload it again."
    )


def _read_members(
    tar: tarfile.TarFile, tape: "_Tape", advance: Callable[[int, int, int], None]
) -> tuple[list[Member], list[str]]:
    members: list[Member] = []
    known: dict[str, Digest] = {}
    left_out: list[str] = []
    count = read = 0
    while True:
        count += 1
        tape.room = NOTES
        info = tar.next()
        tape.room = math.inf
        if info is None:
            return members, left_out
        tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory
        _hold_to_reason(tar, info)
        advance(count, read, 0)
        if info.isreg() or info.type == tarfile.GNUTYPE_SPARSE:
            content = tar.extractfile(info)
            assert content is not None
            digester = Digester()
            while chunk := content.read(CHUNK):
                digester.update(chunk)
                read += len(chunk)
                advance(count, read, digester.size)
            known[info.name] = digester.digest()
        elif info.islnk() and info.linkname in known:
            known[info.name] = known[info.linkname]
        else:
            left_out += [] if info.isdir() else [info.name]
            continue
        members.append(Member(info.name, known[info.name]))


def _hold_to_reason(tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
    """Raise when something is too long to be kept, which names are and what is said of all that follow."""
    if info.size < 0:
        raise tarfile.ReadError("a size is less than nothing")
    if len(info.name) > MAX_PATH:
        raise tarfile.ReadError(f"it has a name of {len(info.name)} characters")
    if sum(map(len, tar.pax_headers.values())) + len(tar.pax_headers) > NOTES:
        raise tarfile.ReadError("it has too many notes on its files")


def _remarks(tar: tarfile.TarFile, tape: "_Tape") -> list[str]:
    """Whatever pads a tar has to be read too: for 7-Zip to check the whole, and because something may hide there."""
    has_end, is_padding = tape.position > tar.offset, True
    while chunk := tape.read(CHUNK):
        is_padding &= chunk.count(0) == len(chunk)
    remarks = [] if has_end else ["it has no end, so something may be missing"]
    return remarks if is_padding else [*remarks, "there is something else behind it"]


class _Header(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in a block. tarfile takes a damaged one for the end, and says nothing."""
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise
            raise tarfile.ReadError(str(error)) from error


class _Tape:
    """A file that can only be wound forward. Of `room` bytes at most is read until somebody gives it new room: tarfile
    takes into memory whatever a header says of a file."""

    def __init__(self, file: Readable) -> None:
        self.position = 0
        self.room: float = NOTES
        self._file = file

    def tell(self) -> int:
        return self.position

    def seek(self, position: int) -> None:
        if position < self.position:
            raise tarfile.StreamError("a size is less than nothing")
        while skip := min(position - self.position, CHUNK):
            skipped = len(self._file.read(skip))
            if not skipped:
                raise tarfile.ReadError("unexpected end of data")
            self.position += skipped

    def read(self, size: int) -> bytes:
        if size > self.room:
            raise tarfile.ReadError("it has too many notes on a file")
        data = self._file.read(size)
        self.position += len(data)
        self.room -= len(data)
        return data
