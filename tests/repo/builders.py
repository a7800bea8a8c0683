"""Small documents and contents to test with."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from knossosd.repo.contents import Contents, Digest, FileKey, Member
from knossosd.repo.document import DocumentLimits, InvalidDocument, Problem, Reading, parse
from knossosd.repo.generated import Description, describe_mod
from knossosd.repo.models import Mod

LIMITS = DocumentLimits(max_size=16 * 1024**2, max_mods=1000, max_files=5000)
LINK = "https://host.example/a.7z"


def a_file(filename: str = "a.7z", **more: Any) -> dict[str, Any]:
    return {"filename": filename, "urls": [LINK], **more}


def a_package(name: str = "Core", *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "files": list(files) or [a_file()], **more}


def a_mod(*packages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "my_mod", "title": "My Mod", "version": "1.0.0", "packages": list(packages) or [a_package()], **more
    }  # fmt: skip


def read(document: Any, **options: Any) -> Reading:
    return parse(json.dumps(document), LIMITS, **options)


def one_mod(document: Any) -> Mod:
    [mod] = read(document).repo.mods
    return mod


def problems(document: Any) -> dict[str, str]:
    """What is wrong with a document, by path."""
    try:
        read(document)
    except InvalidDocument as fault:
        return {problem.path: problem.message for problem in fault.problems if isinstance(problem, Problem)}
    return {}


def warnings(document: Any) -> list[str]:
    return [warning.code.value for warning in read(document).warnings]


def a_digest(text: str) -> Digest:
    number = abs(hash(text))
    return Digest(len(text), f"{number:032x}"[:32], f"{number:064x}"[:64])


def contents_of(mod: Mod, archives: Mapping[str, Sequence[str]]) -> dict[FileKey, Contents]:
    """Contents for a mod whose archives (by file name) hold these paths."""
    return {
        FileKey(mod.id, mod.version, package.name, file.filename): Contents(
            a_digest(file.filename),
            file.urls,
            tuple(Member(path, a_digest(f"{file.filename}/{path}")) for path in archives.get(file.filename, ())),
        )
        for package in mod.packages
        for file in package.files
    }


def describe(archives: Mapping[str, Sequence[str]], actions: Sequence[dict[str, Any]] = (), **file: Any) -> Description:
    """Describe a mod with one package per archive."""
    packages = [a_package(name, a_file(name, **file)) for name in archives]
    mod = one_mod(a_mod(*packages, actions=list(actions)))
    return describe_mod(mod, contents_of(mod, archives))


def places(description: Description) -> dict[str, str]:
    """Where the files of the (only) archive land, by their place in it."""
    return {
        entry["orig_name"]: entry["filename"]
        for package in description.document["packages"]
        for entry in package["filelist"]
    }


def codes(description: Description) -> list[str]:
    return [warning.code.value for warning in description.warnings]
