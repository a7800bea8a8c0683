"""Documents that strangers write: whatever is taken is safe to convert, and means what the published schema says."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from knossosd.faults import InputFault
from knossosd.repo.document import InvalidDocument, json_schema, parse
from knossosd.repo.generated import describe_mod, generate
from knossosd.repo.names import is_inside, is_safe_component
from knossosd.repo.urls import is_web_link
from tests.repo.builders import LIMITS, a_file, a_mod, a_package, contents_of, read

RICH = {
    "mods": [
        a_mod(
            a_package(
                "Core",
                a_file("a.7z", dest="data", md5sum="ab" * 16, checksum=["sha256", "cd" * 32], filesize=5),
                a_file("b.vp", is_archive=False),
                status="required",
                environment="windows && !(avx || avx2)",
                dependencies=[{"id": "FSO", "version": ">=1.2.3", "packages": ["x"]}],
                executables=[{"file": "a.exe", "label": "Debug", "properties": {"x64": True}}],
                notes="n",
                folder="f",
            ),
            a_package("More", a_file("c.7z"), environment=[{"type": "os", "value": "linux", "not": True}]),
            type="mod",
            actions=[
                {"type": "move", "paths": ["*.txt", "a/*"], "dest": "b", "glob": True},
                {"type": "delete", "paths": ["x"]},
                {"type": "copy", "paths": ["b"], "dest": "c"},
                {"type": "mkdir", "paths": ["d/e"]},
            ],
            parent="FS2",
            folder="my_mod",
            tile="https://host.example/t.png",
            screenshots=["https://host.example/s.png"],
            first_release="2015-02-28",
            release_thread="https://forum.example/",
            mod_flag=["x"],
            cmdline="-x",
            private=False,
        ),
        a_mod({"name": "Core", "files": [[["https://a.example/x"], {"core.7z": {"dest": "/data/"}}]]}, version="2.0.0"),
    ]
}
MEMBERS = ["x.txt", "a/y.txt", "mod.ini", "b/mod.ini", "Data/Z.vp", "data/z.vp"]

odd_paths = st.sampled_from(
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "C:\\x",
        "CON",
        "nul.txt",
        "a" * 300,
        "a/" * 200 + "b",
        "a/" * 2000 + "b",
        "data\n",
    ]
)
odd_patterns = st.sampled_from(["*", "**/*", "[", "[!a]*", "?", "*" * 50 + "b"])
odd_words = st.sampled_from(
    [
        "\x00",
        "\u202e",
        "e\u0301",
        "\U0001f600",
        "\ud800",
        "9" * 5000,
        "(" * 2000,
        "!",
        "1.0",
        ">=1.0",
        "2024-02-30",
        "engine",
    ]
)
odd_links = st.sampled_from(
    ["file:///etc/passwd", "http://127.0.0.1/", "http://u:p@h/", "javascript:x", "http://[", "//h/a"]
)
odd_texts = odd_paths | odd_patterns | odd_words | odd_links
odd = (
    st.none() | st.booleans() | st.integers() | st.floats() | odd_texts | st.text(max_size=10)
    | st.sampled_from([[], {}, [[]], [{}], {"": None}, [None], 10**400, -1, 1e308])
)  # fmt: skip


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value in `value`."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from spots(inner, (*path, key))


SPOTS = list(spots(RICH))
changes = st.lists(
    st.tuples(st.sampled_from(SPOTS), st.sampled_from(["set", "drop", "twice"]), odd), min_size=1, max_size=3
)


def changed(changes: list[tuple[tuple[Any, ...], str, Any]]) -> Any:
    document: Any = copy.deepcopy(RICH)
    for path, how, value in changes:
        holder = document
        try:
            for key in path[:-1]:
                holder = holder[key]
            if how == "set":
                holder[path[-1]] = value
            elif how == "drop":
                del holder[path[-1]]
            elif isinstance(holder, list):
                holder.append(holder[path[-1]])
        except (KeyError, IndexError, TypeError):  # an earlier change took it away
            continue
    return document


def written(document: Any) -> str:
    try:
        return json.dumps(document, ensure_ascii=False)
    except ValueError:
        return json.dumps(document)


VALIDATOR = Draft202012Validator(json_schema())


@given(changes)
@example([])
@example([(("mods", 0, "packages", 0, "files", 0, "dest"), "set", "a/" * 5000)])
@example([(("mods", 0, "packages", 0, "environment"), "set", "(" * 5000)])
def test_whatever_is_taken_is_safe(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    document = changed(changes)
    try:
        reading = parse(written(document), LIMITS)
    except InvalidDocument as fault:
        assert fault.problems
        assert all(problem.message for problem in fault.problems)
        json.dumps([problem.as_json() for problem in fault.problems], ensure_ascii=False).encode()
        return
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    for mod in reading.repo.mods:
        assert is_safe_component(mod.id)
        assert re.fullmatch(r"\d+\.\d+\.\d+([-+].*)?", mod.version)
        assert all(is_inside(path) for action in mod.actions for path in (*action.paths, action.dest or ""))
        for package in mod.packages:
            for file in package.files:
                assert is_safe_component(file.filename)
                assert is_inside(file.dest)
                assert file.urls
                assert all(is_web_link(link) and link.isascii() for link in file.urls)


@given(changes, st.lists(st.sampled_from(MEMBERS) | odd_paths | odd_patterns, max_size=6, unique=True))
@example([], MEMBERS)
def test_whatever_is_taken_is_described_or_told_why_not(
    changes: list[tuple[tuple[Any, ...], str, Any]], members: list[str]
) -> None:
    try:
        repo = parse(written(changed(changes)), LIMITS).repo
    except InvalidDocument:
        return
    names = [name for name in members if name and is_inside(name)]
    for mod in repo.mods:
        contents = contents_of(mod, {file.filename: names for package in mod.packages for file in package.files})
        try:
            description = describe_mod(mod, contents)
        except InputFault as fault:
            assert fault.finding.message
            continue
        generated = json.loads(json.dumps(generate([description.document], 1.0), allow_nan=False))
        landed = [entry["filename"] for package in generated["mods"][0]["packages"] for entry in package["filelist"]]
        assert len(landed) == len(set(landed)), "two files in one place"
        assert all(is_inside(path) for path in landed)


@given(st.permutations(list(RICH["mods"][0])))
def test_the_order_of_fields_means_nothing(order: list[str]) -> None:
    shuffled = {"mods": [{name: RICH["mods"][0][name] for name in order}, RICH["mods"][1]]}
    assert read(shuffled).repo == read(RICH).repo


@given(st.text(max_size=60) | st.binary(max_size=60))
@pytest.mark.parametrize("prefix", ["", "{", '{"mods": [', '{"id": "'])
def test_no_text_is_a_fault_of_ours(prefix: str, text: str | bytes) -> None:
    whole = prefix.encode() + text if isinstance(text, bytes) else prefix + text
    with pytest.raises(InvalidDocument):
        parse(whole, LIMITS)
