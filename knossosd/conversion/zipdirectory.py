"""Whether a zip says the same in both places where it says what it holds.

7-Zip goes by the directory at the end; programs that read a zip as a stream go by the header in front of each file. A
zip whose places disagree becomes other files with other programs, and one whose files overlap is a bomb.
"""

import os
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from knossosd.conversion.errand import Check
from knossosd.repo.names import shown

ENTRY = struct.Struct("<4s4x2H4x3I3H8xI")
HEADER = struct.Struct("<4s2x2H4x3I2H")
END = struct.Struct("<4s6xH2I2x")
LONG_END = struct.Struct("<4s28x3Q")
LOCATOR_SIZE = 20
MAX_COMMENT = 0xFFFF
"""Bytes of text that may stand behind the end."""

MAX_DIRECTORY = 64 * 1024 * 1024
"""Bytes: room for several times as many files as a mod has."""

LATER, ENCRYPTED = 8, 1
"""Bits of an entry's flags: sizes and checksum stand behind the data; it has a password."""

ELSEWHERE = 0xFFFFFFFF
"""In place of a number that has no room: it stands in an extra field."""

PIECE = 32 * 1024
"""Bytes that are read at once."""

PER_CHECK = 1000
"""Entries that are compared between two looks whether it may go on."""


class Unusual(Exception):
    """The zip cannot be checked; the message says what is odd about it."""


class _Window:
    """A file that is read in pieces, since the headers of small files lie side by side."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._start = 0
        self._piece = b""

    def read(self, size: int, at: int) -> bytes:
        """So many bytes at this place, fewer where the file ends."""
        start = at - self._start
        if start < 0 or start + size > len(self._piece):
            self._start, start = at, 0
            self._piece = os.pread(self._file, max(size, PIECE), at)
        return self._piece[start : start + size]


class _Entry(NamedTuple):
    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    at: int


def find_disagreements(archive: Path, count: int, check: Check) -> list[str]:
    """What the headers say otherwise than the directory, in words.

    `count` is how many entries 7-Zip found. Raises `Unusual`, and what `check` raises.
    """
    file = os.open(archive, os.O_RDONLY)
    try:
        problems, places, window = [], [], _Window(file)
        for number, entry in enumerate(_entries(file, count)):
            if number % PER_CHECK == 0:
                check()
            end, problem = _compare(window, entry)
            places.append((entry.at, end))
            if problem:
                problems.append(f"{problem}: {entry.name.decode(errors='replace')}")
        places.sort()
        if any(end > start for (_, end), (start, _) in pairwise(places)):
            problems.append("files that overlap")
        return problems
    except (struct.error, OSError, OverflowError) as error:
        raise Unusual("its directory leads nowhere") from error
    finally:
        os.close(file)


def _entries(file: int, count: int) -> Iterator[_Entry]:
    start, size, counted, base = _find_directory(file)
    if counted != count:
        raise Unusual(f"its directory counts {counted} files")
    if size > MAX_DIRECTORY:
        raise Unusual("its directory is very long")
    directory, at, unpack = os.pread(file, size, start), 0, ENTRY.unpack_from
    for _ in range(count):
        mark, flags, method, crc, packed, unpacked, name_size, extra_size, comment_size, local = unpack(directory, at)
        if mark != b"PK\1\2":
            raise Unusual("its directory is not as long as it says")
        name_end = at + ENTRY.size + name_size
        name = directory[at + ENTRY.size : name_end]
        if ELSEWHERE in (packed, unpacked, local):
            extra = directory[name_end : name_end + extra_size]
            unpacked, packed, local = _long_numbers(extra, unpacked, packed, local)
        yield _Entry(name, flags, method, crc, packed, unpacked, base + local)
        at = name_end + extra_size + comment_size


def _compare(window: _Window, entry: _Entry) -> tuple[int, str]:
    """Where the entry's data ends, and what its own header says otherwise."""
    header = window.read(HEADER.size + len(entry.name), entry.at)
    mark, flags, method, crc, packed, unpacked, name_size, extra_size = HEADER.unpack_from(header)
    name = header[HEADER.size :]
    end = entry.at + HEADER.size + name_size + extra_size + entry.packed
    if mark != b"PK\3\4":
        return end, "no header where it should be"
    if (name != entry.name and not _is_same_path(name, entry.name)) or name_size != len(name):
        other = window.read(name_size, entry.at + HEADER.size)
        return end, f"called {shown(other.decode(errors='replace'))} in its header"
    if b"\n" in name or b"\r" in name:
        return end, "a line break in its name"
    if method != entry.method or (flags ^ entry.flags) & ENCRYPTED:
        return end, "packed in another way"
    is_said = not flags & LATER and ELSEWHERE not in (packed, unpacked)
    if is_said and (crc, packed, unpacked) != (entry.crc, entry.packed, entry.unpacked):
        return end, "another size or checksum"
    return end, ""


def _find_directory(file: int) -> tuple[int, int, int, int]:
    """Where the directory begins, its bytes, how many entries it has, and where the zip begins, which may stand behind
    a program."""
    length = os.fstat(file).st_size
    start = max(0, length - END.size - MAX_COMMENT)
    tail = os.pread(file, length - start, start)
    found = tail.rfind(b"PK\5\6")
    if found < 0:
        raise Unusual("it has no directory")
    _, count, size, offset = END.unpack_from(tail, found)
    end = start + found
    if count == 0xFFFF or ELSEWHERE in (size, offset):
        long_end = end - LOCATOR_SIZE - LONG_END.size
        record = os.pread(file, LONG_END.size, max(0, long_end))
        if record.startswith(b"PK\6\6"):
            _, count, size, offset = LONG_END.unpack(record)
            end = long_end
    if end < size + offset:
        raise Unusual("its directory is not where it says")
    return end - size, size, count, end - size - offset


def _long_numbers(extra: bytes, *numbers: int) -> list[int]:
    """The numbers, those that stand elsewhere taken from the extra field, in which they follow one another."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = (number for (number,) in struct.iter_unpack("<Q", extra[at + 4 : at + 4 + size // 8 * 8]))
            return [next(field, number) if number == ELSEWHERE else number for number in numbers]
        at += 4 + size
    return list(numbers)


def _is_same_path(name: bytes, other: bytes) -> bool:
    """Whether they are spelled the same but for slashes, which some programs turn."""
    return name.replace(b"\\", b"/") == other.replace(b"\\", b"/")
