"""Archives that were made to do harm: each ends within its limits, with a plain fault or just its files."""

import stat
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pycdlib
import pytest

from knossosd.conversion.archive import Inspection, inspect
from knossosd.conversion.bounds import Bounds
from knossosd.conversion.cores import Cores
from knossosd.conversion.errand import Errand
from knossosd.conversion.reading import ArchiveLimits, Tools
from knossosd.conversion.sevenzip import SevenZip
from knossosd.faults import Code, InputFault
from tests import archives, hostile
from tests.hostile import padded, tar_header, tar_member

MIB = 1024 * 1024
LIMITS = ArchiveLimits(
    max_unpacked_size=64 * MIB,
    max_members=1000,
    timeout=60,
    max_member_size=32 * MIB,
    max_path_length=240,
    max_ratio=200,
    ratio_from=8 * MIB,
)
BOUNDS = Bounds(memory=512 * MIB, file_size=32 * MIB, cpu_time=30)
MEMORY = 48 * MIB
"""Bytes that the worker may take meanwhile: 7-Zip is read 16 MiB ahead."""

REGULAR, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777

Make = Callable[[Path], Path]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder into which archives try to write: nothing comes there, or anywhere else."""
    folder = tmp_path / "outside"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "made", "cores", "deep"}
    assert [path for path in (tmp_path / "deep").rglob("*") if path.name != "workspace"] == []


def read(make: Make, tmp_path: Path, name: str, limits: ArchiveLimits = LIMITS, bounds: Bounds = BOUNDS) -> Inspection:
    (tmp_path / "made").mkdir()
    path = make(tmp_path / "made" / name).rename(tmp_path / "made" / "archive")  # as a download is called
    workspace = tmp_path / "deep" / "workspace"
    workspace.mkdir(parents=True)
    tools = Tools(SevenZip(bounds=bounds), Cores(tmp_path / "cores"), limits)
    tracemalloc.start()
    try:
        return inspect(
            path, name, tools=tools, workspace=workspace, advance=lambda _done, _total: None, errand=Errand()
        )
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert list(workspace.iterdir()) == [], "something was left in the workspace"
        assert peak < MEMORY


def made_with(content: bytes) -> Make:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def tar_of(*pieces: bytes) -> Make:
    return made_with(b"".join(pieces) + bytes(1024))


def gzip_of(pieces: Iterator[bytes]) -> Make:
    return lambda path: hostile.make_gzip_of(path, pieces)


def zip_of(*members: tuple[str, int, bytes]) -> Make:
    return lambda path: hostile.make_zip_of_modes(path, members)


def iso_of_one_extent(path: Path) -> Path:
    """An image of many files that are all the same place on the disk."""
    iso = pycdlib.PyCdlib()
    iso.new(joliet=3)
    with (path.parent / "content").open("w+b") as content:
        content.truncate(2 * MIB)
        iso.add_fp(content, 2 * MIB, "/F.;1", joliet_path="/f")
        for number in range(300):
            iso.add_hard_link(joliet_old_path="/f", joliet_new_path=f"/f{number}")
        iso.write(str(path))
    iso.close()
    return path


def image_in_images(path: Path, levels: int) -> Path:
    """A disk image in a disk image, and so on, and an ISO image in the last one."""
    inside = archives.make_iso(path, archives.PLAIN).read_bytes()
    for _ in range(levels):
        whole = archives.make_dmg(path, inside).read_bytes()
        inside = whole[:-512] + bytes(-len(whole) % 512) + whole[-512:]
    return path


def zip_in_zips(path: Path) -> Path:
    """Sixteen zips, each of sixteen zips, each of which is a bomb."""
    inner = archives.make_zip(path, {"bomb": bytes(30 * MIB)}).read_bytes()
    for _ in range(2):
        inner = archives.make_zip(path, {f"{number}.zip": inner for number in range(16)}).read_bytes()
    return path


def lying_zip(path: Path, size: int, says: int, *more: tuple[str, int, bytes]) -> Path:
    """A zip whose first file has another size than it says, in both places."""
    hostile.make_zip_of_modes(path, [("bomb", REGULAR, bytes(size)), *more], zipfile.ZIP_DEFLATED)
    return made_with(path.read_bytes().replace(size.to_bytes(4, "little"), says.to_bytes(4, "little")))(path)


TAR = hostile.tar_member("in the tar", b"tar") + bytes(1024)
BOMB_IN_TAR = (piece for piece in [tar_header("bomb", size=20 * MIB), bytes(20 * MIB), bytes(1024)])

BOMBS: dict[str, Make] = {
    "overlapping.zip": lambda path: hostile.make_overlapping_zip(path, 50, MIB),
    "one-for-all.zip": lambda path: hostile.make_zip_of_one(path, 50, bytes(MIB)),
    "zeros.zip": lambda path: archives.make_zip(path, {"bomb": bytes(20 * MIB)}),
    "bzip2.zip": lambda path: archives.make_zip(path, {"bomb": bytes(20 * MIB)}, zipfile.ZIP_BZIP2),
    "large-file.zip": lambda path: archives.make_zip(path, {"bomb": bytes(33 * MIB)}, zipfile.ZIP_STORED),
    "lying.zip": lambda path: lying_zip(path, 100 * MIB, 50),
    "lying-with-link.zip": lambda path: lying_zip(path, 100 * MIB, 50, ("link", LINK, b"bomb")),
    "zeros.7z": lambda path: hostile.make_7z(path, "bomb", bytes(20 * MIB)),
    "dictionary.7z": lambda path: hostile.make_7z(path, "a", b"a", dictionary=0xFFFFFFFF),
    "endless.7z": lambda path: hostile.make_7z(path, "a", b"a", says=1 << 62),
    "too-much.7z": lambda path: hostile.make_7z(path, "a", b"a" * 1000, says=10),
    "too-little.7z": lambda path: hostile.make_7z(path, "a", b"a" * 1000, says=MIB),
    "packed-headers.7z": lambda path: hostile.make_7z(path, "a", b"a", header_in_headers=100),
    "many-names.7z": lambda path: hostile.make_7z_of_names(path, [str(number) for number in range(300_000)]),
    "long-name.7z": lambda path: hostile.make_7z_of_names(path, ["a" * 20 * MIB]),
    "long-names.7z": lambda path: hostile.make_7z_of_names(path, [f"{n}{'a' * 100_000}" for n in range(500)]),
    "zeros.tar.gz": gzip_of(BOMB_IN_TAR),
    "zeros.tar.xz": lambda path: archives.make_tar(path, {"bomb": bytes(20 * MIB)}, "w:xz"),
    "zeros.bz2": lambda path: archives.make_tar(path, {"bomb": bytes(20 * MIB)}, "w:bz2"),
    "zeros-behind.tar.gz": gzip_of(iter([tar_member("a", b"a"), bytes(20 * MIB)])),
    "noise-behind.tar.gz": gzip_of(iter([tar_member("a", b"a"), bytes(1024), b"noise", bytes(20 * MIB)])),
    "long-name.tar.gz": gzip_of(hostile.note_of_tar(tarfile.GNUTYPE_LONGNAME, 60)),
    "long-attributes.tar.gz": gzip_of(hostile.note_of_tar(tarfile.XHDTYPE, 60)),
    "map-of-holes.tar.gz": gzip_of(hostile.sparse_map_of_tar(100_000)),
    "newer-map-of-holes.tar.gz": gzip_of(hostile.sparse_map_in_pax(10_000_000)),
    "notes-on-notes.tar": tar_of(*[tar_header("note", b"L", 10) + padded(b"long name")] * 500, tar_member("a", b"a")),
    "hole.tar": made_with(archives.sparse_tar(b"end", 10**11)),
    "many.tar": tar_of(*[tar_member(str(number), b"") for number in range(1001)]),
    "less-than-nothing.tar": tar_of(tar_member("a", b"a"), tar_header("b", size=-1024)),
    "a-little-less-than-nothing.tar": tar_of(tar_member("a", b"a"), tar_header("b", size=-5)),
    "one-place.iso": iso_of_one_extent,
    "images.dmg": lambda path: image_in_images(path, 40),
}
LARGE, CORRUPT = Code.ARCHIVE_TOO_LARGE, Code.ARCHIVE_CORRUPT
CODES = {
    "overlapping.zip": CORRUPT,
    "one-for-all.zip": CORRUPT,
    "lying.zip": CORRUPT,
    "lying-with-link.zip": CORRUPT,
    "too-much.7z": CORRUPT,
    "too-little.7z": CORRUPT,
    "packed-headers.7z": Code.ARCHIVE_UNREADABLE,
    "long-name.tar.gz": CORRUPT,
    "long-attributes.tar.gz": CORRUPT,
    "map-of-holes.tar.gz": CORRUPT,
    "newer-map-of-holes.tar.gz": CORRUPT,
    "notes-on-notes.tar": CORRUPT,
    "less-than-nothing.tar": CORRUPT,
    "a-little-less-than-nothing.tar": CORRUPT,
    "images.dmg": CORRUPT,
}
"""Of the bombs that are not just too large."""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_within_its_limits(name: str, tmp_path: Path, outside: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(BOMBS[name], tmp_path, name)
    assert caught.value.finding.code is CODES.get(name, LARGE), caught.value
    assert caught.value.finding.hint


@pytest.mark.parametrize(
    ("name", "make", "names"),
    [
        ("zips.zip", zip_in_zips, [f"{number}.zip" for number in range(16)]),
        ("quine.gz", hostile.make_gzip_quine, None),
        ("packed.gz.gz", lambda path: hostile.make_gzip_of(path, [hostile.make_gzip_quine(path).read_bytes()]), None),
    ],
)
def test_archives_in_archives_are_just_files(
    name: str, make: Make, names: list[str] | None, tmp_path: Path, outside: Path
) -> None:
    members = read(make, tmp_path, name).members
    if names is None:
        assert len(members) == 1
    else:
        assert [member.path for member in members] == names


def test_a_quine_is_the_file_that_it_holds(tmp_path: Path, outside: Path) -> None:
    [member] = read(hostile.make_gzip_quine, tmp_path, "quine.gz").members
    assert member.digest.size == (tmp_path / "made" / "archive").stat().st_size


def test_little_is_not_a_bomb_however_well_it_packs(tmp_path: Path, outside: Path) -> None:
    [member] = read(lambda path: archives.make_zip(path, {"zeros": bytes(7 * MIB)}), tmp_path, "a.zip").members
    assert member.digest.size == 7 * MIB


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("absolute.zip", lambda outside: zip_of((f"{outside}/evil", REGULAR, b"evil")), Code.MEMBER_NAME_REFUSED),
        ("up.zip", lambda _: zip_of(("../../outside/evil", REGULAR, b"evil")), Code.MEMBER_NAME_REFUSED),
        (
            "up-with-link.zip",
            lambda _: zip_of(("../../outside/evil", REGULAR, b"evil"), ("link", LINK, b"good")),
            Code.MEMBER_NAME_REFUSED,
        ),
        (
            "through-link.zip",
            lambda outside: zip_of(("folder", LINK, str(outside).encode()), ("folder/evil", REGULAR, b"evil")),
            Code.MEMBER_NAME_REFUSED,
        ),
        (
            "through-relative-link.zip",
            lambda _: zip_of(("folder", LINK, b"../../../outside"), ("folder/evil", REGULAR, b"evil")),
            Code.MEMBER_NAME_REFUSED,
        ),
        (
            "over-link.zip",
            lambda outside: zip_of(("evil", LINK, f"{outside}/evil".encode()), ("evil", REGULAR, b"evil")),
            Code.ARCHIVE_EMPTY,
        ),
        (
            "through-link.rar",
            lambda outside: lambda path: archives.make_rar5(path, {"folder/evil": b"evil"}, {"folder": str(outside)}),
            Code.MEMBER_NAME_REFUSED,
        ),
        (
            "through-link.tar",
            lambda outside: tar_of(
                tar_header("folder", tarfile.SYMTYPE, target=str(outside)), tar_member("../outside/evil", b"evil")
            ),
            Code.MEMBER_NAME_REFUSED,
        ),
    ],
)
def test_nothing_is_written_outside(
    name: str, make: Callable[[Path], Make], code: Code, tmp_path: Path, outside: Path
) -> None:
    with pytest.raises(InputFault) as caught:
        read(make(outside), tmp_path, name)
    assert caught.value.finding.code is code, caught.value


def links_in_7z(path: Path) -> Path:
    """Links to a file and to a folder that lie outside, and a good file."""
    tree = archives.write_tree(path.parent / "tree", {"good": b"good"})
    (tree / "file").symlink_to("/etc/passwd")
    (tree / "folder").symlink_to(path.parent.parent / "outside")
    subprocess.run([SevenZip().program, "a", "-bso0", "-snl", "--", path.absolute(), "."], cwd=tree, check=True)
    return path


@pytest.mark.parametrize(
    ("name", "make", "left_out"),
    [
        (
            "devices.zip",
            zip_of(
                ("fifo", stat.S_IFIFO | 0o644, b""),
                ("device", stat.S_IFCHR | 0o644, b"x"),
                ("socket", stat.S_IFSOCK | 0o644, b"x"),
                ("good", REGULAR, b"good"),
            ),
            {"fifo", "device", "socket"},
        ),
        ("links.7z", links_in_7z, {"file", "folder"}),
        ("link.rar", lambda path: archives.make_rar5(path, {"good": b"good"}, {"link": "/etc/passwd"}), {"link"}),
        (
            "hard-link.rar",
            lambda path: archives.make_rar5(path, {"good": b"good"}, {"link": "/etc/passwd"}, link_type=4),
            {"link"},
        ),
        (
            "devices.tar",
            tar_of(
                tar_header("fifo", tarfile.FIFOTYPE),
                tar_header("device", tarfile.BLKTYPE),
                tar_header("link", tarfile.LNKTYPE, target="/etc/passwd"),
                tar_member("good", b"good"),
            ),
            {"fifo", "device", "link"},
        ),
    ],
)
def test_links_and_devices_are_left_out(
    name: str, make: Make, left_out: set[str], tmp_path: Path, outside: Path
) -> None:
    inspection = read(make, tmp_path, name)
    assert [(member.path, member.digest.size) for member in inspection.members] == [("good", 4)]
    [warning] = inspection.warnings
    assert warning.code is Code.MEMBER_LEFT_OUT
    assert all(one in warning.message for one in left_out)


@pytest.mark.parametrize(
    ("local", "central"), [(b"good.txt", b"evil.txt"), (b"good.txt", b"good"), (b"a", b"a" * 100), (b"a\nb", b"a\nb")]
)
def test_a_zip_that_has_two_names_for_a_file_is_refused(
    local: bytes, central: bytes, tmp_path: Path, outside: Path
) -> None:
    with pytest.raises(InputFault) as caught:
        read(lambda path: hostile.make_disagreeing_zip(path, local, central), tmp_path, "a.zip")
    assert caught.value.finding.code is CORRUPT
    assert "two different things" in caught.value.finding.message


def patched_zip(where: bytes, at: int, value: int) -> Make:
    """A zip of one stored file, with another byte at one place of its header or its directory."""

    def make(path: Path) -> Path:
        data = bytearray(archives.make_zip(path, {"a": b"content"}, zipfile.ZIP_STORED).read_bytes())
        data[data.index(where) + at] = value
        return made_with(bytes(data))(path)

    return make


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("method.zip", patched_zip(b"PK\3\4", 8, 12)),
        ("checksum.zip", patched_zip(b"PK\3\4", 14, 0)),
        ("size.zip", patched_zip(b"PK\3\4", 22, 3)),
        ("encrypted.zip", patched_zip(b"PK\3\4", 6, 1)),
        ("no-header.zip", patched_zip(b"PK\3\4", 3, 9)),
        ("count.zip", patched_zip(b"PK\5\6", 10, 7)),
    ],
)
def test_a_zip_whose_headers_say_otherwise_is_refused(name: str, make: Make, tmp_path: Path, outside: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(make, tmp_path, name)
    assert caught.value.finding.code in (CORRUPT, Code.ARCHIVE_ENCRYPTED, Code.ARCHIVE_UNREADABLE)


def zip_with_two_ends(path: Path) -> Path:
    """A zip with a comment that looks like the end of an empty one."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"a")
        archive.comment = b"PK\5\6" + bytes(18)
    return path


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("two-ends.zip", zip_with_two_ends, "counts 0 files"),
        ("behind.7z", lambda path: behind(archives.pack(path, {"a": b"a"}), zipped(path)), "after the end"),
        ("behind.tar", lambda path: behind(made_with(TAR)(path), zipped(path)), "something else behind it"),
        ("picture.zip", lambda path: before(b"GIF89a" + bytes(100), zipped(path), path), "106 bytes"),
        ("page.zip", lambda path: before(b"<html></html>", zipped(path), path), "13 bytes"),
        ("no-end.tar", made_with(tar_member("a", b"a")), "no end"),
    ],
)
def test_what_is_two_things_at_once_is_told(name: str, make: Make, said: str, tmp_path: Path, outside: Path) -> None:
    inspection = read(make, tmp_path, name)
    assert len(inspection.members) == 1
    [warning] = inspection.warnings
    assert warning.code is Code.ARCHIVE_WARNING
    assert said in warning.message


def zipped(path: Path) -> bytes:
    return archives.make_zip(path.with_name("other.zip"), {"in the zip": b"zip"}).read_bytes()


def behind(path: Path, more: bytes) -> Path:
    return made_with(path.read_bytes() + more)(path)


def before(more: bytes, content: bytes, path: Path) -> Path:
    return made_with(more + content)(path)


def test_what_hides_behind_a_packed_file_is_refused(tmp_path: Path, outside: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(lambda path: behind(hostile.make_gzip_of(path, [b"a"]), zipped(path)), tmp_path, "a.gz")
    assert "behind its end" in caught.value.finding.message


@pytest.mark.parametrize("place", [512, 1024])
def test_a_damaged_header_in_a_tar_is_not_its_end(place: int, tmp_path: Path, outside: Path) -> None:
    data = bytearray(tar_member("a", b"") + tar_member("b", b"") + tar_member("c", b"") + bytes(1024))
    data[place + 148] ^= 1
    with pytest.raises(InputFault) as caught:
        read(made_with(bytes(data)), tmp_path, "a.tar")
    assert caught.value.finding.code is CORRUPT


def test_a_tar_that_ends_within_a_header_is_damaged(tmp_path: Path, outside: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(made_with(tar_member("a", b"a") + tar_header("b")[:300]), tmp_path, "a.tar")
    assert caught.value.finding.code is CORRUPT


def test_processor_time_is_limited(tmp_path: Path, outside: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(lambda path: archives.make_slow_zip(path, 60), tmp_path, "a.zip", bounds=Bounds(cpu_time=1))
    assert caught.value.finding.code is Code.ARCHIVE_TOO_SLOW
