"""What a transfer writes is whole and rightly hashed, however it comes."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from knossosd.conversion import landing
from knossosd.conversion.digest import CHUNK
from knossosd.conversion.landing import Landing


@pytest.fixture
def file(tmp_path: Path) -> Iterator[IO[bytes]]:
    with (tmp_path / "file").open("xb") as file:
        yield file


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 5])
@pytest.mark.parametrize("piece", [1000, CHUNK])
def test_all_that_comes_is_in_the_file(file: IO[bytes], size: int, piece: int) -> None:
    content = os.urandom(size)
    landed = Landing(file)
    for start in range(0, size, piece):
        landed.add(content[start : start + piece])
    digest = landed.digest()
    assert (digest.size, digest.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert digest.md5 == hashlib.md5(content).hexdigest()
    file.flush()
    assert Path(file.name).read_bytes() == content


@pytest.mark.parametrize("before", [10, 2 * CHUNK])
def test_what_came_before_starting_over_is_gone(file: IO[bytes], before: int) -> None:
    landed = Landing(file)
    landed.add(bytes(before))
    landed.start_over()
    assert landed.size == 0
    landed.add(b"new")
    assert landed.digest().md5 == hashlib.md5(b"new").hexdigest()
    file.flush()
    assert Path(file.name).read_bytes() == b"new"


def test_a_large_file_is_brought_to_the_disk_while_it_comes(file: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        on_disk.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(landing, "FLUSH_EVERY", 2 * CHUNK)
    monkeypatch.setattr(os, "fsync", fsync)
    landed = Landing(file)
    for _ in range(8):
        landed.add(bytes(CHUNK))
    landed.digest()
    assert on_disk
    assert on_disk[0] >= 2 * CHUNK


def test_a_disk_that_cannot_take_it_is_told(file: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landing, "FLUSH_EVERY", CHUNK)
    monkeypatch.setattr(os, "fsync", fsync)
    landed = Landing(file)
    with pytest.raises(OSError, match="No space"):  # noqa: PT012
        landed.add(bytes(CHUNK))
        landed.digest()


def test_the_file_may_be_closed_while_it_is_flushed(file: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()
    flushed: list[int] = []

    def fsync(descriptor: int) -> None:
        closed.wait(60)
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(landing, "FLUSH_EVERY", CHUNK)
    monkeypatch.setattr(os, "fsync", fsync)
    written, descriptor = os.fstat(file.fileno()).st_ino, file.fileno()
    landed = Landing(file)
    landed.add(bytes(CHUNK))
    file.close()
    with Path(file.name).with_name("another").open("xb") as another:
        assert another.fileno() == descriptor
        closed.set()
        assert landed._flush is not None
        landed._flush.result()
    assert flushed == [written]
