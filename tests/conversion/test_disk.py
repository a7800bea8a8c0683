"""A disk that is full, at whatever step: one plain error, and nothing left behind."""

import errno
import hashlib
import logging
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.pipeline import Conversion
from knossosd.faults import Code, ServerFault
from knossosd.settings import KIB, Settings
from tests import archives, hosts
from tests.conversion.test_calling_off import run, tools
from tests.conversion.test_pipeline import Recorder, leftovers, published
from tests.hosts import Host

NOISE = {f"data/{number}.bin": random.Random(number).randbytes(20_000) for number in range(4)}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told(number: int) -> None:
    with pytest.raises(ServerFault) as caught, telling_of_a_full_disk():
        raise OSError(number, os.strerror(number))
    assert caught.value.finding.code is Code.DISK_FULL


def test_other_errors_of_a_disk_stay_what_they_are() -> None:
    with pytest.raises(OSError, match="denied"), telling_of_a_full_disk():
        raise OSError(errno.EACCES, "denied")


Disk = Callable[..., Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Makes empty disks, each in place of the one before, with options of the file system such as `size=100k`."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def unmount() -> None:
        if folder.is_mount():
            subprocess.run(["umount", folder], check=True)

    def make(options: str) -> Path:
        unmount()
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        tried = subprocess.run(mount, capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
        return folder

    yield make
    unmount()


def with_mirror(folder: Path) -> Settings:
    return Settings(
        MIRROR_PATH=folder / "mirror",
        MIRROR_URL="https://mirror.example/fs2",
        TRUSTED_HOSTS=("127.0.0.1",),
        DOWNLOAD_ATTEMPTS=1,
    )


def is_through(settings: Settings, outcome: Conversion) -> bool:
    """Whether it succeeded; if not, because the disk is full, and nothing is left behind."""
    assert settings.mirror_path is not None
    assert leftovers(settings) == []
    assert list(settings.mirror_path.glob(".cache/**/.*")) == []
    for stored in settings.store_path.glob("*/*"):
        assert hashlib.sha256(stored.read_bytes()).hexdigest() == stored.name
    if outcome.document is not None:
        return True
    assert {error.code for error in outcome.errors} == {Code.DISK_FULL}, outcome.errors
    assert [name for name in published(settings) if not name.startswith("uploads/")] == []
    assert not (settings.mirror_path / "my_mod").exists()
    return False


def make_archive(kind: str, path: Path) -> bytes:
    if kind == "with links":  # is unpacked to the disk
        return archives.make_rar5(path, NOISE, links={"link": "data/0.bin"}).read_bytes()
    if kind == "disk image":  # has its one partition unpacked to the disk
        return archives.make_dmg(path, archives.make_iso(path, archives.PLAIN).read_bytes()).read_bytes()
    return archives.pack(path, NOISE, "-mx=0").read_bytes()


def limits(amount: str) -> list[str]:
    if amount == "bytes":
        return [f"size={size * KIB}" for size in range(8, 700, 12)]
    return [f"nr_inodes={number}" for number in range(2, 60)]


@pytest.mark.parametrize("amount", ["bytes", "names"])
@pytest.mark.parametrize("kind", ["plain", "with links", "disk image"])
def test_an_archive_that_is_downloaded(kind: str, amount: str, host: Host, disk: Disk, tmp_path: Path) -> None:
    link = host.link("/a", hosts.serves(make_archive(kind, tmp_path / "archive.7z")))
    through = []
    for limit in limits(amount):
        settings = with_mirror(disk(limit))
        through.append(is_through(settings, run(tools(settings), Recorder(), link)))
    assert not through[0]
    assert through[-1]


@pytest.mark.parametrize("amount", ["bytes", "names"])
def test_a_file_that_is_copied(amount: str, disk: Disk, tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", NOISE)
    through = []
    for limit in limits(amount):
        settings = with_mirror(disk(limit))
        through.append(is_through(settings, run(tools(settings), Recorder(), path.as_uri())))
    assert not through[0]
    assert through[-1]


@pytest.mark.parametrize("amount", ["bytes", "names"])
def test_an_upload(amount: str, disk: Disk, tmp_path: Path) -> None:
    content = archives.pack(tmp_path / "a.7z", NOISE).read_bytes()
    through = []
    for limit in limits(amount):
        settings = with_mirror(disk(limit))
        upload = settings.mirror_path / "uploads" / "abc"  # type: ignore[operator]
        try:
            upload.parent.mkdir(parents=True)
            upload.write_bytes(content)
        except OSError:
            continue
        through.append(is_through(settings, run(tools(settings), Recorder(), f"{settings.mirror_url}/uploads/abc")))
    assert amount == "bytes" or not through[0]  # an upload takes no more bytes
    assert through[-1]


def test_records_that_cannot_be_written_are_left_out_and_logged(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = host.link("/a.7z", hosts.serves(archives.pack(tmp_path / "a.7z", NOISE).read_bytes()))
    settings = with_mirror(tmp_path)
    settings.cache_path.parent.mkdir(parents=True)
    settings.cache_path.write_text("a file where the records' folder should be")
    with caplog.at_level(logging.WARNING):
        assert run(tools(settings), Recorder(), link).document is not None
    assert "cannot be written" in caplog.text
