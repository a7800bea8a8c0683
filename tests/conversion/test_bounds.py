"""What the system lets 7-Zip take."""

import dataclasses
import stat
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from knossosd.conversion.archive import inspect
from knossosd.conversion.bounds import GRACE, MAX_PROCESSES, Bounds
from knossosd.conversion.cores import Cores
from knossosd.conversion.errand import Errand
from knossosd.conversion.reading import ArchiveLimits, Tools
from knossosd.conversion.sevenzip import SevenZip
from knossosd.faults import Code, InputFault
from knossosd.settings import Settings
from tests import archives, hostile

MIB = 1024 * 1024
BOUNDS = Bounds(memory=512 * MIB, file_size=MIB, cpu_time=100)


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    """A program in place of 7-Zip that says what limits it has."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ncat /proc/self/limits >&2\n")
    program.chmod(0o755)
    return program


def limits_of(said: str) -> dict[str, tuple[str, str]]:
    """The soft and the hard limit of each kind."""
    return {line[:25].strip(): (line[26:46].strip(), line[47:67].strip()) for line in said.splitlines()[1:]}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of a process like this")
def test_a_7zip_has_its_limits_before_it_begins(limits: Path, tmp_path: Path) -> None:
    with SevenZip(limits, BOUNDS).extract(tmp_path, tmp_path, check=lambda: None) as run:
        said = limits_of(run.wait().complaints)
    assert said["Max address space"] == (str(512 * MIB), str(512 * MIB))
    assert said["Max file size"] == (str(MIB + 512), str(MIB + 512))
    assert said["Max cpu time"] == ("100", str(100 + GRACE))
    assert said["Max core file size"][0] == "0"
    assert int(said["Max processes"][0]) <= MAX_PROCESSES


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of a process like this")
def test_this_process_keeps_its_own(limits: Path, tmp_path: Path) -> None:
    before = Path("/proc/self/limits").read_text()
    SevenZip(limits, BOUNDS).list(tmp_path, check=lambda: None)
    assert Path("/proc/self/limits").read_text() == before


def test_the_settings_have_room_for_what_7zip_packs(tmp_path: Path) -> None:
    bounds = Bounds.from_settings(Settings(), Cores(tmp_path, 2))
    path = hostile.make_7z(tmp_path / "a.7z", "a", b"content", dictionary=1536 * MIB)
    with SevenZip(bounds=bounds).stream(path, cores=2, check=lambda: None) as run:
        assert run.wait().code == 0


@pytest.mark.parametrize(
    ("setting", "value", "files"),
    [
        ("MAX_UNPACKED_SIZE", 999, {"a": bytes(1000)}),
        ("MAX_MEMBER_SIZE", 999, {"a": bytes(1000)}),
        ("MAX_MEMBERS", 1, {"a": b"a", "b": b"b"}),
        ("MAX_PATH_LENGTH", 9, {"a" * 10: b"a"}),
        ("MAX_RATIO", 1, {"a": bytes(1000)}),
    ],
)
def test_every_limit_is_a_setting(setting: str, value: int, files: archives.Files, tmp_path: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", files)
    for settings, is_refused in ((Settings(), False), (Settings(RATIO_FROM=100, **{setting: value}), True)):
        cores = Cores(tmp_path / "cores")
        sevenzip = SevenZip(bounds=Bounds.from_settings(settings, cores))
        tools = Tools(sevenzip, cores, ArchiveLimits.from_settings(settings))
        with pytest.raises(InputFault) if is_refused else nullcontext():
            inspect(path, "a.zip", tools=tools, workspace=tmp_path, advance=lambda _a, _b: None, errand=Errand())


def test_a_file_that_grows_too_large_on_the_disk_is_told(tmp_path: Path) -> None:
    members = [("large", stat.S_IFREG | 0o644, bytes(3 * MIB)), ("link", stat.S_IFLNK | 0o777, b"large")]
    path = hostile.make_zip_of_modes(tmp_path / "a.zip", members)
    limits = ArchiveLimits(max_unpacked_size=10 * MIB, max_members=10, timeout=60)
    tools = Tools(SevenZip(bounds=BOUNDS), Cores(tmp_path / "cores"), limits)
    with pytest.raises(InputFault) as caught:
        inspect(path, "a.zip", tools=tools, workspace=tmp_path, advance=lambda _a, _b: None, errand=Errand())
    assert caught.value.finding.code is Code.ARCHIVE_TOO_LARGE
    assert not list(tmp_path.glob("unpacked-*"))


def test_very_many_complaints_do_not_fill_the_disk(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec yes 'ERROR: CRC Failed : a file' >&2\n")
    program.chmod(0o755)
    tools = Tools(
        SevenZip(program, dataclasses.replace(BOUNDS, file_size=10**12)),
        Cores(tmp_path / "cores"),
        ArchiveLimits(max_unpacked_size=MIB, max_members=10, timeout=60),
    )
    path = archives.make_zip(tmp_path / "a.zip", {"a": b"a"})
    with pytest.raises(InputFault) as caught:
        inspect(path, "a.zip", tools=tools, workspace=tmp_path, advance=lambda _a, _b: None, errand=Errand())
    assert caught.value.finding.code is Code.ARCHIVE_CORRUPT
