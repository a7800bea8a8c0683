"""What an archive holds, in short."""

import pytest

from knossosd.repo.contents import Digest, Member
from knossosd.repo.outline import MOST, Outline, outline


def members(*paths: str) -> list[Member]:
    return [Member(path, Digest(10, "", "")) for path in paths]


def test_an_outline_tells_what_a_draft_needs() -> None:
    found = outline(members("mod.ini", "shiny.vp", "data/tables/a.tbm", "data/maps/b.dds", "Old/MOD.INI"))
    assert found == Outline(
        files=5,
        size=50,
        top=("mod.ini", "shiny.vp", "data/", "Old/"),
        mod_inis=("mod.ini", "Old/MOD.INI"),
        vps=("shiny.vp",),
        programs=(),
    )


@pytest.mark.parametrize(
    "path",
    ["fs2_open_24_2_0_x64.exe", "bin/FS2_OPEN.EXE", "fs2_open_24.2.0", "fs2_open_24.2.0_x64.AppImage", "wxlauncher"],
)
def test_programs_are_recognised(path: str) -> None:
    assert outline(members(path)).programs == (path,)


@pytest.mark.parametrize("path", ["fs2_open.txt", "exe/readme", "data/tables/fs2_open-sct.tbm", "notes.exe.txt"])
def test_other_files_are_no_programs(path: str) -> None:
    assert outline(members(path)).programs == ()


def test_an_outline_of_many_files_stays_short() -> None:
    found = outline(members(*(f"{number}.vp" for number in range(1000))))
    assert (found.files, len(found.top), len(found.vps)) == (1000, MOST, MOST)
