"""An archive that is divided into shares is read like one that is not."""

import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from knossosd.conversion import shares
from knossosd.conversion.archive import inspect
from knossosd.conversion.cores import Cores
from knossosd.conversion.errand import Check, Errand
from knossosd.conversion.listing import Entry, Listing
from knossosd.conversion.reading import ArchiveLimits, Tools
from knossosd.conversion.sevenzip import Names, Run, SevenZip
from knossosd.conversion.shares import MIN_SIZE, PER_CORE, Share, divide
from knossosd.faults import Code
from tests import archives
from tests.conversion.test_archive import expected, facts

CORES = 4
MB = 1024 * 1024


# What is read


class Watched(SevenZip):
    """The real program, and the names that it was asked for. It unpacks nothing to the disk: what is not read right at
    first cannot be made good there."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Names] = []

    def stream_some(self, archive: Path, names: Names, **more: Any) -> AbstractContextManager[Run]:
        self.asked.append(names)
        return super().stream_some(archive, names, **more)

    def extract(self, archive: Path, into: Path, *, check: Check) -> AbstractContextManager[Run]:
        raise AssertionError(f"{archive.name} was not read right as a stream")


def read_divided(path: Path) -> tuple[dict[str, tuple[int, str, str]], list[Names]]:
    """What is found in the archive, and how the shares were named."""
    sevenzip = Watched()
    workspace = path.parent / "workspace"
    workspace.mkdir()
    inspection = inspect(
        path,
        path.name,
        tools=Tools(sevenzip, Cores(path.parent / "cores", CORES), ArchiveLimits(10**9, 100_000, 60)),
        workspace=workspace,
        advance=lambda _done, _total: None,
        errand=Errand(),
    )
    assert list(workspace.iterdir()) == []
    assert {warning.code for warning in inspection.warnings} <= {Code.MEMBER_NAME_CHANGED}
    return facts(inspection), sevenzip.asked


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let archives of a few bytes be divided, and small files be named."""
    monkeypatch.setattr(shares, "MIN_SIZE", 1)
    monkeypatch.setattr(shares, "PER_COMPARISON", 0)


ODD = {
    name: random.Random(name).randbytes(20_000)
    for name in (
        "*.txt", "?.txt", "a.txt", "A.txt", "[a].txt", "-dash", "--", "@list.txt", "!mark", "#hash", "$HOME", "%PATH%",
        " begins with a blank", "a'quote", "data/a.txt", "data/*", "data/sub/a.txt", "data/.hidden", "data.txt",
        "data/a", "#", "data/a.txt ",
        "data/Ümläut ✓.txt", "data/with space [1] = x.txt", "~", "i@names", "データ/モデル.pof", "data/a;b,c",
    )
}  # fmt: skip
"""Names that a program which is given them could take for something else."""

DIVIDED: dict[str, Callable[[Path], Path]] = {
    "deflated.zip": lambda path: archives.make_zip(path, ODD),
    "streamed.zip": lambda path: archives.make_zip(path, ODD, streamed=True),
    "separate.7z": lambda path: archives.pack(path, ODD, "-ms=off"),
    "blocks.7z": lambda path: archives.pack(path, ODD, "-ms=4f"),
    "rar5.rar": lambda path: archives.make_rar5(path, ODD),
}


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize("kind", DIVIDED)
def test_odd_names_are_read_right_in_every_share(kind: str, tmp_path: Path) -> None:
    found, asked = read_divided(DIVIDED[kind](tmp_path / kind))
    assert found == expected(ODD)
    assert len(asked) > CORES


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize(
    "kind",
    ["separate.7z", "stored.7z", "deflated.zip", "stored.zip", "lzma.zip", "streamed.zip", "rar4.rar", "rar5.rar"],
)
def test_every_kind_of_archive_that_can_be_divided_is_read_right(kind: str, tmp_path: Path) -> None:
    make, files = archives.KINDS[kind]
    found, _ = read_divided(make(tmp_path / kind))
    assert found == expected(files)


@pytest.mark.parametrize("switches", [["-tzip"], ["-t7z", "-ms=off"]])
def test_the_rest_is_all_that_no_share_names(
    switches: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MIN_SIZE", 20_000)
    files = {**ODD, **{f"small/{name}": name.encode() for name in ODD}, "empty": b""}
    found, asked = read_divided(archives.pack(tmp_path / "a.archive", files, *switches))
    assert found == expected(files)
    assert [names.switch for names in asked].count("x") == 1


MEMORY = """
import resource, sys
from pathlib import Path
from knossosd.conversion.archive import inspect
from knossosd.conversion.cores import Cores
from knossosd.conversion.errand import Errand
from knossosd.conversion.reading import ArchiveLimits, Tools
from knossosd.conversion.sevenzip import SevenZip
path = Path(sys.argv[1])
for cores in (1, 16):
    tools = Tools(SevenZip(), Cores(path.parent / "cores", cores), ArchiveLimits(10**9, 100, 60))
    inspect(path, "a.zip", tools=tools, workspace=path.parent, advance=lambda _done, _total: None, errand=Errand())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the unit is another one")
def test_many_cores_need_little_more_memory_than_one(tmp_path: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", dict.fromkeys(map(str, range(16)), bytes(MIN_SIZE)))
    command = [sys.executable, "-c", MEMORY, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    one, many = map(int, said.split())
    assert many - one < 64 * 1024


# How it is divided


def listing(kind: str, sizes: list[int | None], blocks: list[str] | None = None, is_solid: bool = False) -> Listing:
    found = Listing(type=kind, is_solid=is_solid)
    for number, size in enumerate(sizes):
        block = blocks[number] if blocks else ""
        found.entries.append(Entry(f"data/{number}", size, False, False, False, block))
    return found


def places(found: list[Share]) -> list[int]:
    return sorted(place for share in found for place in share.places)


def named(found: Listing, share: Share) -> set[int]:
    """The places of the files that 7-Zip takes the share for."""
    paths = set(share.names.names)
    return {place for place, file in enumerate(found.files) if (file.path in paths) == (share.names.switch == "i")}


SIZES = [random.Random(seed).choice([0, 1, 4000, MB, 5 * MB, 40 * MB]) for seed in range(300)]


@pytest.mark.parametrize("cores", [2, 3, 4, 16])
@pytest.mark.parametrize("kind", ["zip", "Rar", "Rar5", "7z"])
def test_every_file_has_one_place_and_the_largest_share_comes_first(kind: str, cores: int) -> None:
    blocks = ["" if not size else str(number // 7) for number, size in enumerate(SIZES)]
    whole = listing(kind, list(SIZES), blocks)
    found = divide(whole, cores)
    assert len(found) > cores
    assert places(found) == [place for place, size in enumerate(SIZES) if size]
    assert [share.size for share in found] == sorted((share.size for share in found), reverse=True)
    for share in found:
        assert share.places == tuple(sorted(share.places))
        assert share.size == sum(SIZES[place] for place in share.places)
        assert {place for place in named(whole, share) if SIZES[place]} == set(share.places)


def test_a_solid_block_is_never_divided() -> None:
    blocks = [str(number // 10) for number in range(100)]
    found = divide(listing("7z", [5 * MB] * 100, blocks), 4)
    assert len(found) > 4
    for share in found:
        assert len(share.places) % 10 == 0
        assert all(len({place for place in share.places if place // 10 == block}) in (0, 10) for block in range(10))


@pytest.mark.parametrize(
    "whole",
    [
        listing("zip", []),
        listing("zip", [0, 0, None]),
        listing("zip", [MIN_SIZE]),
        listing("zip", [1000] * 1000),
        listing("Rar5", [MIN_SIZE] * 20, is_solid=True),
        listing("7z", [MIN_SIZE] * 20, ["0"] * 20),
        listing("Cab", [MIN_SIZE] * 20),
        Listing(type="zip", entries=[Entry("twice", MIN_SIZE, False, False, False)] * 8),
    ],
)
def test_what_is_better_unpacked_as_one_has_no_shares(whole: Listing) -> None:
    assert divide(whole, 4) == []


def test_one_core_has_nothing_to_share() -> None:
    assert divide(listing("zip", [MIN_SIZE] * 8), 1) == []


@pytest.mark.parametrize(("count", "size"), [(2000, 500_000), (2500, 400_000), (5000, 200_000)])
def test_a_gigabyte_is_divided_however_many_files_it_has(count: int, size: int) -> None:
    found = divide(listing("zip", [size] * count), 2)
    assert len(found) in (2 * PER_CORE, 2 * PER_CORE + 1)
    assert places(found) == list(range(count))


def test_small_files_between_large_ones_are_the_rest() -> None:
    whole = listing("zip", [5 * MB if number % 20 == 0 else 2000 for number in range(10_000)])
    found = divide(whole, 4)
    [rest] = [share for share in found if share.names.switch == "x"]
    assert set(rest.places) == {place for place in range(10_000) if place % 20}
    assert len(found) > 4


def test_dividing_looks_at_every_file_a_few_times_whatever_their_number() -> None:
    looks = []

    class Counted(Entry):
        @property
        def size(self) -> int | None:
            looks.append(self.path)
            return 200_000

    whole = listing("zip", [200_000] * 5000)
    whole.entries = [Counted(*entry) for entry in whole.entries]
    assert len(divide(whole, 2)) > 2
    assert len(looks) <= 5 * len(whole.entries)
