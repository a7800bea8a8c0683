"""A pipe is read ahead, but no further than there is room."""

import fcntl
import os
import random
import select
import sys
import threading
from collections.abc import Iterator

import pytest

from knossosd.conversion.readahead import ReadAhead

MB = 1024 * 1024
CONTENT = random.Random(1).randbytes(3 * MB)
TIMEOUT = 60.0
ROOMS = [64 * 1024, 256 * 1024, MB, 16 * MB]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    source, end = os.pipe()
    yield source, end
    os.close(source)


@pytest.mark.parametrize("room", ROOMS)
def test_all_that_is_written_is_read_whatever_the_room(room: int, pipe: tuple[int, int]) -> None:
    def write() -> None:
        with os.fdopen(pipe[1], "wb") as end:
            end.write(CONTENT)

    writer = threading.Thread(target=write)
    writer.start()
    ahead = ReadAhead(pipe[0], room)
    assert b"".join(iter(lambda: ahead.next(TIMEOUT) or b"", b"")) == CONTENT
    writer.join()
    ahead.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of any size")
@pytest.mark.parametrize("room", ROOMS)
def test_no_more_is_read_ahead_than_there_is_room(room: int, pipe: tuple[int, int]) -> None:
    source, end = pipe
    large = fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, MB)
    os.set_blocking(end, False)
    written = fill(end)
    ahead = ReadAhead(source, room)
    while select.select([], [end], [], 0.2)[1]:
        written += fill(end)
    assert written <= room + large
    os.close(end)
    ahead.close()


def test_whoever_still_asks_when_it_is_closed_is_told_that_this_is_the_end(pipe: tuple[int, int]) -> None:
    ahead = ReadAhead(pipe[0], MB)
    told: list[bytes | None] = []
    asking = threading.Thread(target=lambda: told.append(ahead.next(TIMEOUT)))
    asking.start()
    os.close(pipe[1])
    ahead.close()
    asking.join()
    assert told == [b""]
    assert ahead.next(TIMEOUT) == b""


def fill(end: int) -> int:
    """Write into the pipe until it is full; returns the bytes."""
    written = 0
    try:
        while True:
            written += os.write(end, CONTENT[:4096])
    except BlockingIOError:
        return written
