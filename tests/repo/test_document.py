"""Reading documents: every documented form, and every problem at once with its path."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from knossosd.faults import Code
from knossosd.repo.document import MAX_PROBLEMS, DocumentLimits, InvalidDocument, json_schema, parse
from tests.repo.builders import LIMITS, LINK, a_file, a_mod, a_package, one_mod, problems, read, warnings


def code_of(text: str | bytes, limits: DocumentLimits = LIMITS) -> Code:
    with pytest.raises(InvalidDocument) as caught:
        parse(text, limits)
    assert caught.value.problems
    return caught.value.finding.code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        '{"mods": [}',
        b"\xff\xfe",
        '{"mods": NaN}',
        '{"mods": [], "mods": []}',
        '{"id": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_not_json_is_told(text: str | bytes) -> None:
    assert code_of(text) is Code.NOT_JSON


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, {"mods": None}, {"mods": {}}, {"mods": []}, {"x": 1}])
def test_what_is_no_document_is_told(value: Any) -> None:
    assert code_of(json.dumps(value)) is Code.INVALID_DOCUMENT


def test_one_mod_and_a_list_of_mods_mean_the_same() -> None:
    assert read(a_mod()).repo == read({"mods": [a_mod()]}).repo


def test_paths_fit_the_form_of_the_document() -> None:
    bad = a_mod(a_package("Core", a_file(urls=5)))
    assert problems(bad) == {"packages[0].files[0].urls": "must be a list"}
    assert problems({"mods": [a_mod(), bad]}) == {"mods[1].packages[0].files[0].urls": "must be a list"}


def test_all_problems_are_told_at_once() -> None:
    document = {
        "mods": [
            a_mod(a_package("Core", a_file(urls=[]), status="maybe"), version=5, first_release="yesterday"),
            {"id": "../evil", "packages": [{"name": ""}]},
        ]
    }
    assert set(problems(document)) == {
        "mods[0].version",
        "mods[0].first_release",
        "mods[0].packages[0].status",
        "mods[0].packages[0].files[0].urls",
        "mods[1].id",
        "mods[1].title",
        "mods[1].version",
        "mods[1].packages[0].name",
    }


def test_wrong_types_everywhere_are_told_in_plain_words() -> None:
    wrong = dict.fromkeys(a_mod(), 5) | {"packages": 5, "actions": "x", "videos": {}, "private": "yes"}
    told = problems(wrong)
    assert told["packages"] == told["actions"] == told["videos"] == "must be a list"
    assert told["title"] == "must be text"
    assert told["private"] == "must be true or false"
    assert not any("pydantic" in message or "Input" in message for message in told.values())


def test_a_flood_of_problems_is_cut_with_a_mark() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read({"mods": [{}] * 900})
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert "more problems" in caught.value.problems[-1].message


@pytest.mark.parametrize(
    ("limits", "document"),
    [
        (DocumentLimits(100, 10, 10), a_mod(title="x" * 200)),
        (DocumentLimits(10**6, 10, 10), {"mods": [{}] * 11}),
        (DocumentLimits(10**6, 10, 10), a_mod(a_package("a", *[a_file(f"{n}.7z") for n in range(11)]))),
        (
            DocumentLimits(10**6, 10, 10),
            a_mod({"name": "a", "files": [[[LINK], {f"{n}.7z": {} for n in range(11)}]]}),
        ),
    ],
)
def test_limits_are_told_before_anything_else(limits: DocumentLimits, document: Any) -> None:
    assert code_of(json.dumps(document), limits) is Code.DOCUMENT_TOO_LARGE


def test_unknown_fields_are_warnings_with_their_path() -> None:
    document = {"mods": [a_mod(a_package("Core", a_file(odd=1), odd=2), odd=3)], "odd": 4}
    messages = [warning.message for warning in read(document).warnings]
    assert [message.split(" ")[0] for message in messages] == [
        "odd",
        "mods[0].odd",
        "mods[0].packages[0].odd",
        "mods[0].packages[0].files[0].odd",
    ]


def test_includes_are_not_followed() -> None:
    assert "not followed" in problems({"mods": [a_mod()], "includes": ["/etc/passwd"]})["includes"]
    assert problems({"mods": [a_mod()], "includes": []}) == {}
    assert warnings({"mods": [a_mod()], "remote_includes": ["https://host.example/x.json"]}) == ["unknown_field"]


def test_the_same_mod_twice_is_a_problem_and_two_versions_are_not() -> None:
    assert set(problems({"mods": [a_mod(version="1"), a_mod(version="1.0.0")]})) == {"mods[1]"}
    assert problems({"mods": [a_mod(version="1"), a_mod(version="2")]}) == {}


def test_names_that_stand_twice_are_problems() -> None:
    assert set(problems(a_mod(a_package("A"), a_package("A")))) == {"packages[1].name"}
    assert set(problems(a_mod(a_package("A", a_file(), a_file())))) == {"packages[0].files[1]"}
    assert warnings(a_mod(a_package("A"), a_package("B"))) == ["filename_repeated"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a:b", "CON", "nul.txt", "x ", "x.", "a\nb", "x" * 121, "a?b"]
)
def test_ids_that_no_folder_can_have_are_problems(name: str) -> None:
    assert set(problems(a_mod(id=name))) == {"id"}


@pytest.mark.parametrize("name", ["mod", "Mod 2", "ünï", "mod.v2", "x" * 120, "console"])
def test_ids_that_work_as_folders_are_fine(name: str) -> None:
    assert one_mod(a_mod(id=name)).id == name


@pytest.mark.parametrize("path", ["..", "a/../b", "a\\b", "C:/x", "a\x00b"])
def test_paths_that_lead_out_are_problems(path: str) -> None:
    assert set(problems(a_mod(a_package("Core", a_file(dest=path))))) == {"packages[0].files[0].dest"}
    actions = [{"type": "move", "paths": [path], "dest": path}]
    assert set(problems(a_mod(actions=actions))) == {"actions[0].paths[0]", "actions[0].dest"}


def test_slashes_around_paths_do_not_matter() -> None:
    mod = one_mod(a_mod(a_package("Core", a_file(dest="/data//maps/")), folder="/x/"))
    assert (mod.packages[0].files[0].dest, mod.folder) == ("data/maps", "x")


@pytest.mark.parametrize(
    "link",
    ["", "a.7z", "ftp://host.example/a", "http://", "http:///a", "https://u:p@host.example/a", "javascript:x",
     "http://host.example/\x01", "file:///etc/passwd", "http://host.example:99999/", "//host.example/a"],
)  # fmt: skip
def test_links_that_cannot_be_fetched_are_problems(link: str) -> None:
    assert set(problems(a_mod(a_package("Core", a_file(urls=[link]))))) == {"packages[0].files[0].urls[0]"}


def test_links_are_escaped_and_named_once() -> None:
    links = ["https://host.example/ä b.7z?x=1 2#f", " https://host.example/%41 ", "https://host.example/%41"]
    file = one_mod(a_mod(a_package("Core", a_file(urls=links)))).packages[0].files[0]
    assert file.urls == ("https://host.example/%C3%A4%20b.7z?x=1%202#f", "https://host.example/%41")


def test_files_of_this_machine_are_links_only_where_they_are_allowed() -> None:
    document = a_mod(a_package("Core", a_file(urls=["file:///tmp/a.7z"])))
    assert read(document, schemes=frozenset({"file"})).repo.mods[0].packages[0].files[0].urls == ("file:///tmp/a.7z",)


def test_the_short_form_of_files() -> None:
    pair = [
        ["https://a.example/x", "https://b.example/y/"],
        {"core #1.7z": {"dest": "/data/"}, "x.vp": {"is_archive": False}},
    ]
    files = one_mod(a_mod({"name": "Core", "files": [pair, a_file("b.7z")]})).packages[0].files
    assert [(file.filename, file.urls, file.dest, file.is_archive) for file in files] == [
        ("core #1.7z", ("https://a.example/x/core%20%231.7z", "https://b.example/y/core%20%231.7z"), "data", True),
        ("x.vp", ("https://a.example/x/x.vp", "https://b.example/y/x.vp"), "", False),
        ("b.7z", (LINK,), "", True),
    ]


def test_files_as_an_object_are_a_problem() -> None:
    assert set(problems(a_mod({"name": "Core", "files": {"a.7z": {}}}))) == {"packages[0].files"}


def test_a_package_without_files_is_fine() -> None:
    assert one_mod(a_mod({"name": "Core"})).packages[0].files == ()


def test_a_mod_without_packages_is_a_problem() -> None:
    assert set(problems({**a_mod(), "packages": []})) == {"packages"}


@pytest.mark.parametrize(
    ("given", "kept", "warned"),
    [("mod", "mod", []), ("TC", "tc", []), ("addon", "mod", ["type_rewritten"]), (None, "mod", []), ("ext", "ext", [])],
)
def test_types(given: str | None, kept: str, warned: list[str]) -> None:
    document = a_mod(type=given)
    assert one_mod(document).type == kept
    assert warnings(document) == warned


def test_parents_fit_the_type() -> None:
    assert one_mod(a_mod()).parent == "FS2"
    assert one_mod(a_mod(parent="some_tc")).parent == "some_tc"
    assert one_mod(a_mod(type="tc")).parent is None
    assert warnings(a_mod(type="tc", parent="FS2")) == ["parent_rewritten"]
    assert one_mod(a_mod(type="tc", parent="FS2")).parent is None


def test_stability_belongs_to_engines() -> None:
    windows = a_package(environment="windows")
    assert one_mod(a_mod(windows, type="engine")).stability == "stable"
    assert one_mod(a_mod(windows, type="engine", stability="RC")).stability == "rc"
    assert one_mod(a_mod(stability="rc")).stability is None
    assert set(problems(a_mod(stability="shaky"))) == {"stability"}


def test_pictures_must_be_links_or_knossos_net_breaks() -> None:
    document = a_mod(tile="tile.png", banner="https://host.example/b.png", screenshots=["x.png", LINK], logo="logo.png")
    mod = one_mod(document)
    assert (mod.tile, mod.banner, mod.screenshots, mod.logo) == (
        None,
        "https://host.example/b.png",
        (LINK,),
        "logo.png",
    )
    assert warnings(document) == ["image_left_out", "image_left_out"]


def test_dates_are_kept() -> None:
    mod = one_mod(a_mod(first_release="2015-02-28", last_update=None))
    assert (mod.first_release, mod.last_update) == ("2015-02-28", None)
    for wrong in ("2015-02-30", "2015-2-3", "20150203", "", "2015-02-03T00:00", 5):
        assert set(problems(a_mod(first_release=wrong))) == {"first_release"}


def test_mod_flag_is_made_from_what_is_required() -> None:
    needs = [{"id": "FSO"}, {"id": "MVPS"}, {"id": "MVPS"}]
    packages = [a_package("A", a_file("1.7z"), status="required", dependencies=needs),
                a_package("B", a_file("2.7z"), dependencies=[{"id": "other"}])]  # fmt: skip
    assert one_mod(a_mod(*packages)).mod_flag == ("my_mod", "MVPS")
    assert one_mod(a_mod(*packages, mod_flag=["x"])).mod_flag == ("x",)
    assert one_mod(a_mod(*packages, type="tool")).mod_flag == ()


def test_executables_get_the_labels_that_clients_read() -> None:
    given = [{"file": "a.exe"}, {"file": "b.exe", "debug": True}, {"file": "c.exe", "label": ""},
             {"file": "d.exe", "label": "Fred Debug", "version": "1"}]  # fmt: skip
    executables = one_mod(a_mod(a_package(executables=given))).packages[0].executables
    assert [(one.label, one.debug) for one in executables] == [
        (None, False), ("debug", True), (None, False), ("Fred Debug", True)
    ]  # fmt: skip
    assert warnings(a_mod(a_package(executables=given))) == []


def test_checksums_in_the_document_are_kept_for_comparison() -> None:
    file = a_file(md5sum="AB" * 16, checksum=["sha256", "CD" * 32], filesize=5, contents={})
    kept = one_mod(a_mod(a_package("Core", file))).packages[0].files[0]
    assert (kept.expected_md5, kept.expected_sha256) == ("ab" * 16, "cd" * 32)
    assert warnings(a_mod(a_package("Core", file))) == []
    for odd in (None, 5, ["md5", "x"], "sha256", []):
        assert one_mod(a_mod(a_package("Core", a_file(checksum=odd)))).packages[0].files[0].expected_sha256 is None


def test_nulls_are_as_good_as_nothing() -> None:
    names = "type parent folder description notes logo tile screenshots videos release_thread cmdline mod_flag actions"
    empty = dict.fromkeys([*names.split(), "private"])
    package = a_package(notes=None, status=None, dependencies=None, environment=None, executables=None, is_vp=None)
    assert read(a_mod(package, **empty)).repo == read(a_mod()).repo


def test_the_schema_knows_every_form() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    assert "WrittenPair" in text
    assert "WrittenCondition" in text
    assert len(schema["anyOf"]) == 2
    described = schema["$defs"]["WrittenMod"]["properties"]
    assert all(field.get("description") for field in described.values())


def test_the_schema_agrees_with_the_reader() -> None:
    validator = Draft202012Validator(json_schema())
    Draft202012Validator.check_schema(json_schema())
    pair = {"name": "Core", "files": [[[LINK], {"a.7z": {"dest": "data"}}], a_file("b.7z")]}
    listed = a_package(environment=[{"type": "os", "value": "linux", "not": True}])
    action = {"type": "move", "paths": ["a/*"], "dest": ""}
    for good in (a_mod(), {"mods": [a_mod(), a_mod(version="2")]}, a_mod(pair), a_mod(listed), a_mod(actions=[action])):
        assert problems(good) == {}
        assert [error.message for error in validator.iter_errors(good)] == []
    for bad in ({}, [], {"mods": []}, a_mod(version=5), a_mod(a_package("A", a_file(urls="x"))), a_mod(type="odd")):
        assert problems(bad)
        assert not validator.is_valid(bad)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["mods", "id", "title", "version", "packages", "files", "urls", "x"]), inner)
    ),
    max_leaves=30,
)


@given(json_values)
def test_no_json_makes_the_reader_fail_otherwise(value: Any) -> None:
    try:
        read(value)
    except InvalidDocument as fault:
        assert fault.problems


@given(st.dictionaries(st.sampled_from([*a_mod(), "type", "actions", "mod_flag", "tile"]), json_values))
def test_no_field_makes_the_reader_fail_otherwise(fields: dict[str, Any]) -> None:
    try:
        read({**a_mod(), **fields})
    except InvalidDocument as fault:
        assert fault.problems
