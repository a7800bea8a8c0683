"""Where files land, and what the modder is told about it."""

import pytest

from knossosd.faults import Code, InputFault
from tests.repo.builders import a_file, a_mod, a_package, codes, contents_of, describe, one_mod, places


def dests(description: object) -> list[str]:
    return [package["files"][0]["dest"] for package in description.document["packages"]]  # type: ignore[attr-defined]


def test_files_land_below_dest() -> None:
    description = describe({"a.7z": ["x.vp", "maps/y.dds"]}, dest="data")
    assert places(description) == {"x.vp": "data/x.vp", "maps/y.dds": "data/maps/y.dds"}
    assert dests(description) == ["data"]
    assert codes(description) == []


def test_a_later_archive_replaces_with_a_warning() -> None:
    description = describe({"a.7z": ["x", "y"], "b.7z": ["x"]})
    lists = [[entry["filename"] for entry in package["filelist"]] for package in description.document["packages"]]
    assert lists == [["y"], ["x"]]
    assert codes(description) == ["file_replaced"]
    assert "a.7z" in description.warnings[0].message
    assert description.warnings[0].file == "b.7z"


def test_a_file_in_the_place_of_a_folder_fails() -> None:
    with pytest.raises(InputFault) as caught:
        describe({"a.7z": ["data"], "b.7z": ["data/x"]})
    assert caught.value.finding.code is Code.PATH_CONFLICT
    assert caught.value.finding.file == "b.7z"


def test_folders_that_lie_too_deep_are_the_mods_fault() -> None:
    for dest, members in (("a/" * 5000, ["x"]), ("", ["a/" * 5000 + "x"])):
        with pytest.raises(InputFault) as caught:
            describe({"a.7z": members}, dest=dest)
        assert caught.value.finding.code is Code.PATH_CONFLICT


def test_twins_on_windows_are_a_warning() -> None:
    assert codes(describe({"a.7z": ["data/X.txt", "data/x.txt"]})) == ["case_conflict"]
    assert codes(describe({"a.7z": ["\u00e9.txt", "e\u0301.txt"]})) == ["case_conflict"]
    assert codes(describe({"a.7z": ["Data/x.txt", "data/y.txt"]})) == []
    assert codes(describe({"a.7z": ["a.txt.", "a.txt"]})) == ["case_conflict"]
    assert codes(describe({"a.7z": ["Data", "data/y.txt"]})) == ["case_conflict"]


def test_actions_that_a_dest_can_express_become_one() -> None:
    move = {"type": "move", "paths": ["*"], "dest": "data"}
    description = describe({"a.7z": ["x", "maps/y"]}, [move])
    assert places(description) == {"x": "data/x", "maps/y": "data/maps/y"}
    assert dests(description) == ["data"]
    assert codes(description) == []


def test_places_that_knossos_net_does_not_understand_are_told() -> None:
    move = {"type": "move", "paths": ["top/*"], "dest": ""}
    description = describe({"a.7z": ["top/mod.ini", "top/x"]}, [move])
    assert places(description) == {"top/mod.ini": "mod.ini", "top/x": "x"}
    assert codes(description) == ["places_not_understood"]
    delete = {"type": "delete", "paths": ["junk"]}
    description = describe({"a.7z": ["junk/x", "y"]}, [delete])
    assert places(description) == {"y": "y"}
    assert codes(description) == ["places_not_understood"]
    assert "junk/x" in description.warnings[0].message


def test_of_copies_only_one_is_kept() -> None:
    copy = {"type": "copy", "paths": ["x"], "dest": "y"}
    description = describe({"a.7z": ["x"]}, [copy])
    assert places(description) == {"x": "x"}
    assert codes(description) == ["copy_left_out"]
    moved = describe({"a.7z": ["x"]}, [copy, {"type": "delete", "paths": ["x"]}])
    assert places(moved) == {"x": "y"}


def test_a_mod_ini_in_a_folder_is_lifted() -> None:
    description = describe({"a.7z": ["My Mod/mod.ini", "My Mod/data/x", "My Mod/.hidden", "readme.txt"]})
    assert places(description) == {
        "My Mod/mod.ini": "mod.ini",
        "My Mod/data/x": "data/x",
        "My Mod/.hidden": ".hidden",
        "readme.txt": "readme.txt",
    }
    assert codes(description) == ["mod_ini_moved", "places_not_understood"]
    assert description.document["actions"] == [
        {"type": "move", "paths": ["My Mod/*", "My Mod/.*"], "dest": "", "glob": True}
    ]


@pytest.mark.parametrize(
    "files", [["mod.ini", "old/mod.ini"], ["xmod.ini", "old/xmod.ini"], ["data/x"], ["old/MOD.INI"]]
)
def test_a_mod_ini_at_the_top_or_none_at_all_changes_nothing(files: list[str]) -> None:
    description = describe({"a.7z": files})
    assert description.document["actions"] == []
    assert places(description) == {name: name for name in files}


def test_a_mod_ini_that_cannot_be_lifted_stays() -> None:
    for clash in ("x", "x/y"):
        description = describe({"a.7z": ["top/mod.ini", "top/x", clash]})
        assert description.document["actions"] == []
        assert places(description)["top/mod.ini"] == "top/mod.ini"
        assert codes(description) == ["mod_ini_moved"]


def test_the_shallowest_mod_ini_decides() -> None:
    description = describe({"a.7z": ["a/b/mod.ini", "c/mod.ini"]})
    assert description.document["actions"][0]["paths"] == ["c/*", "c/.*"]


def test_tools_may_carry_a_mod_ini_as_data() -> None:
    mod = one_mod(a_mod(a_package("Core", a_file()), type="tool"))
    from knossosd.repo.generated import describe_mod

    assert describe_mod(mod, contents_of(mod, {"a.7z": ["x/mod.ini"]})).document["actions"] == []


def test_a_plain_file_is_put_into_dest_and_warned_about() -> None:
    description = describe({"core.vp": []}, is_archive=False, dest="data")
    assert places(description) == {"core.vp": "data/core.vp"}
    assert codes(description) == ["not_an_archive"]


def test_many_replaced_files_make_one_warning() -> None:
    names = [f"f{number}" for number in range(100)]
    description = describe({"a.7z": names, "b.7z": names})
    assert codes(description) == ["file_replaced"]
    assert "97 more" in description.warnings[0].message
