"""The generated document: one shape that every client generation reads."""

import json
import re
from typing import Any

from knossosd.repo.generated import describe_mod, generate
from tests.repo.builders import a_digest, a_file, a_mod, a_package, contents_of, one_mod, read


def generated(document: Any, archives: dict[str, list[str]]) -> Any:
    mods = read(document).repo.mods
    described = [describe_mod(mod, contents_of(mod, archives)).document for mod in mods]
    return json.loads(json.dumps(generate(described, 12.5)))


def test_the_whole_shape() -> None:
    document = a_mod(
        a_package("Core", a_file(dest="data"), status="REQUIRED", dependencies=[{"id": "FSO", "version": "==1.2.3"}]),
        first_release="2024-01-02",
        release_thread="https://forum.example/1",
    )
    digest, member = a_digest("a.7z"), a_digest("a.7z/x.vp")
    assert generated(document, {"a.7z": ["x.vp"]}) == {
        "generated": 12.5,
        "mods": [
            {
                "id": "my_mod",
                "title": "My Mod",
                "type": "mod",
                "version": "1.0.0",
                "parent": "FS2",
                "stability": None,
                "private": False,
                "folder": "my_mod",
                "description": "",
                "notes": "",
                "logo": None,
                "tile": None,
                "banner": None,
                "screenshots": [],
                "attachments": [],
                "videos": [],
                "release_thread": "https://forum.example/1",
                "first_release": "2024-01-02",
                "last_update": None,
                "cmdline": "",
                "mod_flag": ["my_mod"],
                "actions": [],
                "packages": [
                    {
                        "name": "Core",
                        "notes": "",
                        "status": "required",
                        "environment": "",
                        "folder": None,
                        "is_vp": False,
                        "dependencies": [{"id": "FSO", "version": "1.2.3", "packages": []}],
                        "executables": [],
                        "files": [
                            {
                                "filename": "a.7z",
                                "is_archive": True,
                                "dest": "data",
                                "checksum": ["sha256", digest.sha256],
                                "md5sum": digest.md5,
                                "filesize": digest.size,
                                "urls": ["https://host.example/a.7z"],
                            }
                        ],
                        "filelist": [
                            {
                                "filename": "data/x.vp",
                                "archive": "a.7z",
                                "orig_name": "x.vp",
                                "checksum": ["sha256", member.sha256],
                                "md5sum": member.md5,
                            }
                        ],
                    }
                ],
            }
        ],
    }


def test_knossos_net_gets_the_types_that_it_insists_on() -> None:
    """One wrong type anywhere, and it reads no mod of the document at all."""
    document = a_mod(
        a_package(environment=[{"type": "os", "value": "linux"}], executables=[{"file": "x", "debug": True}]),
        type="engine",
        version="3.8",
    )
    [mod] = generated({"mods": [document]}, {"a.7z": ["x"]})["mods"]
    assert mod["type"] in ("mod", "tc", "engine", "tool", "ext")
    assert re.fullmatch(r"\d+\.\d+\.\d+", mod["version"])
    for name in ("mod_flag", "screenshots", "attachments", "videos", "packages"):
        assert isinstance(mod[name], list), name
    [package] = mod["packages"]
    assert isinstance(package["environment"], str)
    assert package["status"] in ("required", "recommended", "optional")
    assert package["executables"] == [{"file": "x", "label": "debug", "debug": True}]
    assert isinstance(package["files"][0]["filesize"], int)
    for entry in (*package["files"], *package["filelist"]):
        assert entry["checksum"][0] == "sha256"
        assert re.fullmatch("[0-9a-f]{64}", entry["checksum"][1])


def test_a_generated_document_can_be_converted_again() -> None:
    document = {"mods": [a_mod(a_package("Core", a_file()), version=f"1.{n}.0") for n in range(2)]}
    first = generated(document, {"a.7z": ["mod.ini", "data/x"]})
    reading = read(first)
    assert [warning.code.value for warning in reading.warnings] == []
    assert reading.repo.mods[0].packages[0].files[0].expected_sha256 == a_digest("a.7z").sha256
    assert generated(first, {"a.7z": ["mod.ini", "data/x"]}) == first


def test_files_stay_with_the_package_whose_archive_they_come_from() -> None:
    mod = one_mod(a_mod(a_package("A", a_file("a.7z")), a_package("B", a_file("b.7z"))))
    document = describe_mod(mod, contents_of(mod, {"a.7z": ["1", "2"], "b.7z": ["3"]})).document
    lists = {
        package["name"]: [(entry["archive"], entry["orig_name"]) for entry in package["filelist"]]
        for package in document["packages"]
    }
    assert lists == {"A": [("a.7z", "1"), ("a.7z", "2")], "B": [("b.7z", "3")]}
