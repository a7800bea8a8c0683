"""Archives of every kind: names and checksums equal those of the files that were packed."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from knossosd.conversion.archive import Inspection, inspect
from knossosd.conversion.cores import Cores
from knossosd.conversion.errand import Errand
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.reading import ArchiveLimits, Tools
from knossosd.conversion.sevenzip import SevenZip
from knossosd.faults import Code, InputFault
from tests import archives

LIMITS = ArchiveLimits(max_unpacked_size=10**9, max_members=100_000, timeout=60)


def read(
    path: Path,
    name: str | None = None,
    limits: ArchiveLimits = LIMITS,
    advance: Callable[[int, int | None], None] = lambda _done, _total: None,
    errand: Errand | None = None,
) -> Inspection:
    workspace = path.parent / "workspace"
    workspace.mkdir(exist_ok=True)
    try:
        return inspect(
            path,
            name or path.name,
            tools=Tools(SevenZip(), Cores(path.parent / "cores"), limits),
            workspace=workspace,
            advance=advance,
            errand=errand or Errand(),
        )
    finally:
        assert list(workspace.iterdir()) == [], "something was left in the workspace"


def fault(path: Path, name: str | None = None, limits: ArchiveLimits = LIMITS) -> InputFault:
    with pytest.raises(InputFault) as caught:
        read(path, name, limits)
    assert caught.value.finding.message
    assert caught.value.finding.hint
    return caught.value


def facts(inspection: Inspection) -> dict[str, tuple[int, str, str]]:
    return {path: (digest.size, digest.md5, digest.sha256) for path, digest in inspection.members}


def expected(files: archives.Files) -> dict[str, tuple[int, str, str]]:
    return {
        name: (len(data), hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    }


@pytest.mark.parametrize("kind", archives.KINDS)
def test_every_kind_of_archive_is_read_right(kind: str, tmp_path: Path) -> None:
    make, files = archives.KINDS[kind]
    assert facts(read(make(tmp_path / kind))) == expected(files)


@pytest.mark.parametrize("kind", archives.KINDS)
def test_the_name_does_not_decide_what_an_archive_is(kind: str, tmp_path: Path) -> None:
    make, files = archives.KINDS[kind]
    path = make(tmp_path / kind).rename(tmp_path / "archive")
    assert facts(read(path, kind)) == expected(files)


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    read(archives.pack(tmp_path / "a.7z", archives.SAMPLE), advance=lambda done, total: told.append((done, total)))
    size = sum(map(len, archives.SAMPLE.values()))
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_thousands_of_small_files_are_all_there(tmp_path: Path) -> None:
    files = {f"data/{n % 50}/{n}.txt": str(n).encode() for n in range(3000)}
    assert facts(read(archives.pack(tmp_path / "a.7z", files))) == expected(files)


def test_links_are_left_out_and_everything_else_is_read(tmp_path: Path) -> None:
    tree = archives.write_tree(tmp_path / "tree", archives.SAMPLE)
    (tree / "link").symlink_to("mod.ini")
    (tree / "outside").symlink_to("/etc/passwd")
    for name, switches in (("a.7z", ["-snl"]), ("a.zip", ["-snl"]), ("a.tar", ["-snl"])):
        subprocess.run([SevenZip().program, "a", "-bd", *switches, tmp_path / name, "."], cwd=tree, check=True)
        inspection = read(tmp_path / name)
        assert facts(inspection) == expected(archives.SAMPLE), name
        assert [warning.code for warning in inspection.warnings] == [Code.MEMBER_LEFT_OUT], name
        assert "link" in inspection.warnings[0].message


def test_links_in_rar5_which_stream_nothing_are_left_out(tmp_path: Path) -> None:
    inspection = read(archives.make_rar5(tmp_path / "a.rar", archives.SAMPLE, links={"data/link": "../mod.ini"}))
    assert facts(inspection) == expected(archives.SAMPLE)
    assert [warning.code for warning in inspection.warnings] == [Code.MEMBER_LEFT_OUT]


def test_hard_links_in_a_tar_are_files_and_devices_are_not(tmp_path: Path) -> None:
    path = archives.make_tar(tmp_path / "a.tar", {"mod.ini": b"x" * 1000})
    with tarfile.open(path, "a") as tar:
        for name, kind, target in (
            ("data/again.ini", tarfile.LNKTYPE, "mod.ini"),
            ("data/nowhere", tarfile.LNKTYPE, "missing"),
            ("fifo", tarfile.FIFOTYPE, ""),
            ("device", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    inspection = read(path)
    assert facts(inspection) == expected({"mod.ini": b"x" * 1000, "data/again.ini": b"x" * 1000})
    assert "data/nowhere, fifo, device" in inspection.warnings[0].message


@pytest.mark.parametrize("switches", [["-psecret"], ["-psecret", "-mhe=on"], ["-tzip", "-psecret"]])
def test_a_password_is_told(switches: list[str], tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.arc", archives.SAMPLE, *switches)
    assert fault(path).finding.code is Code.ARCHIVE_ENCRYPTED


@pytest.mark.parametrize("kind", ["solid.7z", "deflated.zip", "rar5.rar", "rar4.rar", "plain.tar", "tar.tar.gz",
                                  "tar.tar.xz", "tar.tar.bz2", "tar.tar.zst", "cabinet.cab"])  # fmt: skip
def test_an_archive_that_was_cut_off_is_told(kind: str, tmp_path: Path) -> None:
    path = archives.KINDS[kind][0](tmp_path / kind)
    os.truncate(path, path.stat().st_size * 2 // 3)
    assert fault(path).finding.code is Code.ARCHIVE_CORRUPT


@pytest.mark.parametrize("kind", ["stored.7z", "stored.zip", "rar5.rar", "rar4.rar", "tar.tar.gz", "tar.tar.xz"])
def test_an_archive_that_was_damaged_is_told(kind: str, tmp_path: Path) -> None:
    path = archives.KINDS[kind][0](tmp_path / kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert fault(path).finding.code is Code.ARCHIVE_CORRUPT


def test_volumes_are_told(tmp_path: Path) -> None:
    data = {"big.bin": os.urandom(300_000)}
    archives.pack(tmp_path / "a.7z", data, "-v100k")
    volumes = sorted(tmp_path.glob("a.7z.*"))
    assert len(volumes) > 2
    alone = [path.rename(tmp_path / f"alone-{path.name}") for path in volumes]
    for path in alone:
        assert fault(path).finding.code is Code.ARCHIVE_INCOMPLETE, path.name
    for number, make in enumerate((archives.make_rar4, archives.make_rar5)):
        path = make(tmp_path / f"{number}.rar", data, volume=True)
        assert fault(path).finding.code is Code.ARCHIVE_INCOMPLETE


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", Code.ARCHIVE_EMPTY),
        (b"This is text.\n", Code.ARCHIVE_UNREADABLE),
        (b"<!DOCTYPE html><html></html>", Code.ARCHIVE_UNREADABLE),
        (os.urandom(10_000), Code.ARCHIVE_UNREADABLE),
        (bytes(10_240), Code.ARCHIVE_UNREADABLE),
    ],
)
def test_what_is_no_archive_is_told(content: bytes, code: Code, tmp_path: Path) -> None:
    (tmp_path / "a.7z").write_bytes(content)
    assert fault(tmp_path / "a.7z").finding.code is code


def test_a_program_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.exe").write_bytes(Path(SevenZip().program).read_bytes())
    assert fault(tmp_path / "a.exe").finding.code is Code.ARCHIVE_UNREADABLE


def test_an_archive_without_files_is_empty(tmp_path: Path) -> None:
    for name, make in (("a.7z", archives.pack), ("a.zip", archives.make_zip), ("a.rar", archives.make_rar5)):
        assert fault(make(tmp_path / name, {})).finding.code is Code.ARCHIVE_EMPTY


def test_data_behind_the_archive_is_a_warning(tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", archives.SAMPLE)
    path.write_bytes(path.read_bytes() + b"garbage")
    inspection = read(path)
    assert facts(inspection) == expected(archives.SAMPLE)
    assert [warning.code for warning in inspection.warnings] == [Code.ARCHIVE_WARNING]


@pytest.mark.parametrize("name", ["../up.txt", "/abs.txt", "a/../../up.txt", "C:/drive.txt", "a\\..\\b.txt", "a\x07b"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    path = archives.make_tar(tmp_path / "a.tar", {"good.txt": b"x", name: b"evil"})
    assert fault(path).finding.code is Code.MEMBER_NAME_REFUSED


def test_of_two_members_of_one_name_the_later_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for content in (b"first", b"second"):
            info = tarfile.TarInfo("./a.txt")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    inspection = read(path)
    assert facts(inspection) == expected({"a.txt": b"second"})
    assert [warning.code for warning in inspection.warnings] == [Code.MEMBER_LEFT_OUT]


def test_limits_hold_on_the_listing_and_on_what_comes(tmp_path: Path) -> None:
    tight_size = ArchiveLimits(max_unpacked_size=1_000_000, max_members=100, timeout=60)
    tight_count = ArchiveLimits(max_unpacked_size=10**9, max_members=5, timeout=60)
    for kind in ("solid.7z", "deflated.zip", "rar5.rar", "tar.tar.gz", "plain.tar"):
        path = archives.KINDS[kind][0](tmp_path / kind)
        assert fault(path, limits=tight_count).finding.code is Code.ARCHIVE_TOO_LARGE, kind
        if kind != "plain.tar":
            assert fault(path, limits=tight_size).finding.code is Code.ARCHIVE_TOO_LARGE, kind


def test_a_zip_that_lies_about_its_sizes_does_not_pass(tmp_path: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", {"bomb.bin": bytes(5_000_000)})
    data = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    path.write_bytes(data)
    tight = ArchiveLimits(max_unpacked_size=1_000_000, max_members=10, timeout=60)
    with pytest.raises(InputFault):
        read(path, limits=tight)


def test_the_holes_of_a_sparse_file_count(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(archives.sparse_tar(b"end", 10**11))
    tight = ArchiveLimits(max_unpacked_size=10**8, max_members=10, timeout=60)
    assert fault(path, limits=tight).finding.code is Code.ARCHIVE_TOO_LARGE


def test_a_method_that_7zip_does_not_know_is_told(tmp_path: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", {"a.txt": b"x" * 100, "b.txt": b"y" * 100}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    data[local + 8 : local + 10] = data[central + 10 : central + 12] = (250).to_bytes(2, "little")
    path.write_bytes(data)
    assert fault(path).finding.code is Code.ARCHIVE_UNREADABLE


def test_time_is_limited(tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", archives.SAMPLE)
    limits = ArchiveLimits(max_unpacked_size=10**9, max_members=1000, timeout=0)
    assert fault(path, limits=limits).finding.code is Code.ARCHIVE_TOO_SLOW


def test_calling_off_ends_7zip(tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", {"big.bin": bytes(200_000_000)}, "-mx=1")
    errand = Errand()
    with pytest.raises(Cancelled):
        read(path, errand=errand, advance=lambda _done, _total: errand.call_off())
    if sys.platform == "linux":
        running = [program.read_bytes() for program in Path("/proc").glob("[0-9]*/cmdline")]
        assert not [line for line in running if str(path).encode() in line]


def test_names_in_an_unknown_code_page_are_refused(tmp_path: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", {"caf#.txt": b"x"})
    path.write_bytes(path.read_bytes().replace(b"caf#", "café".encode("cp437")))
    assert fault(path).finding.code is Code.MEMBER_NAME_REFUSED
