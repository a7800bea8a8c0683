"""Telling a tar, and reading it as a stream."""

import io
import tarfile
from pathlib import Path

import pytest

from knossosd.conversion.tarball import BLOCK, ChunkReader, is_tar, read_tar
from knossosd.faults import Code, InputFault
from tests import archives


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
    content = bytes(1_000_000) + b"end"
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.seek(1_000_000)
        file.write(b"end")
    path = tmp_path / "a.tar"
    # The standard library reads sparse tars and cannot write them: a header of GNU's own form is made by hand.
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % 3
    header[386:398] = b"%011o\0" % 1_000_000
    header[398:410] = b"%011o\0" % 3
    header[483:495] = b"%011o\0" % len(content)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(header + b"end".ljust(512, b"\0") + bytes(1024))
    with path.open("rb") as file:
        [member], left_out = read_tar(file, lambda _: None, 10)
    assert (member.path, member.digest.size, left_out) == ("sparse", len(content), [])


def test_a_tar_that_is_cut_off_is_corrupt(tmp_path: Path) -> None:
    data = archives.make_tar(tmp_path / "a.tar", archives.SAMPLE).read_bytes()
    with pytest.raises(InputFault) as caught:
        read_tar(io.BytesIO(data[:20_000]), lambda _: None, 100)
    assert caught.value.finding.code is Code.ARCHIVE_CORRUPT


def test_peeking_reads_nothing() -> None:
    reader = ChunkReader(iter([b"ab", b"", b"cd"]))
    assert reader.peek(1) == b"a"
    assert reader.read(2) == b"ab"
