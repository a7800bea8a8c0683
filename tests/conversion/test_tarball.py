"""Telling a tar, and reading it as a stream."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from knossosd.conversion.tarball import BLOCK, ChunkReader, is_tar, read_tar
from knossosd.faults import Code, InputFault
from tests import archives


def go_on(_entries: int, _done: int, _size: int) -> None:
    """Nothing is too much."""


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_is_told_by_its_beginning(format: int, tmp_path: Path) -> None:  # noqa: A002
    data = archives.make_tar(tmp_path / "a.tar", archives.SAMPLE, format=format).read_bytes()
    assert is_tar(data[:BLOCK])


def test_an_old_tar_is_told(tmp_path: Path) -> None:
    data = archives.make_old_tar(tmp_path / "a.tar", archives.PLAIN).read_bytes()
    assert b"ustar" not in data
    assert is_tar(data[:BLOCK])


@pytest.mark.parametrize("data", [b"", bytes(BLOCK), b"x" * BLOCK, b"7z\xbc\xaf\x27\x1c" * 100, b"ustar" * 200])
def test_other_things_are_no_tars(data: bytes) -> None:
    assert not is_tar(data[:BLOCK])


def test_a_sparse_file_is_read_with_its_holes(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(archives.sparse_tar(b"end", 1_000_000))
    with path.open("rb") as file:
        [member], left_out, remarks = read_tar(file, go_on)
    assert member.digest.sha256 == hashlib.sha256(bytes(1_000_000) + b"end").hexdigest()
    assert (member.path, member.digest.size, left_out, remarks) == ("sparse", 1_000_003, [], [])


def test_a_tar_that_is_cut_off_is_corrupt(tmp_path: Path) -> None:
    data = archives.make_tar(tmp_path / "a.tar", archives.SAMPLE).read_bytes()
    with pytest.raises(InputFault) as caught:
        read_tar(io.BytesIO(data[:20_000]), go_on)
    assert caught.value.finding.code is Code.ARCHIVE_CORRUPT


def test_peeking_reads_nothing() -> None:
    reader = ChunkReader(iter([b"ab", b"", b"cd"]))
    assert reader.peek(1) == b"a"
    assert reader.read(2) == b"ab"
