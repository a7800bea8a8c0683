"""The generated repo document, in the one shape that every client generation reads.

Archives and files carry `md5sum` for the 2017 client and `checksum` with sha256 for every client since. Every key is
always there, with the types that Knossos.NET insists on: one wrong type anywhere, and it reads no mod at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knossosd.faults import Finding
from knossosd.repo.contents import Contents, Digest, FileKey
from knossosd.repo.layout import Layout, lay_out, members_of
from knossosd.repo.models import Dependency, Executable, Mod, Package, PackageFile


@dataclass(frozen=True, slots=True)
class Description:
    """A mod as the generated document has it, and what the modder should know."""

    document: dict[str, Any]
    warnings: tuple[Finding, ...]


def generate(mods: Sequence[dict[str, Any]], started: float) -> dict[str, Any]:
    """The generated document of the described `mods`; `started` (epoch seconds) is when the conversion began."""
    return {"generated": started, "mods": list(mods)}


def describe_mod(mod: Mod, contents: Mapping[FileKey, Contents]) -> Description:
    """Describe `mod`, whose files were found to hold `contents`.

    Raises `InputFault` when its files cannot lie together, or an action cannot be done.
    """
    layout = lay_out(mod, contents)
    document = {
        "id": mod.id,
        "title": mod.title,
        "type": mod.type,
        "version": mod.version,
        "parent": mod.parent,
        "stability": mod.stability,
        "private": mod.private,
        "folder": mod.folder,
        "description": mod.description,
        "notes": mod.notes,
        "logo": mod.logo,
        "tile": mod.tile,
        "banner": mod.banner,
        "screenshots": list(mod.screenshots),
        "attachments": list(mod.attachments),
        "videos": list(mod.videos),
        "release_thread": mod.release_thread,
        "first_release": mod.first_release,
        "last_update": mod.last_update,
        "cmdline": mod.cmdline,
        "mod_flag": list(mod.mod_flag),
        "actions": [action.as_json() for action in layout.actions],
        "packages": [_package(mod, package, contents, layout) for package in mod.packages],
    }
    return Description(document, tuple(layout.warnings))


def _package(mod: Mod, package: Package, contents: Mapping[FileKey, Contents], layout: Layout) -> dict[str, Any]:
    files = [(FileKey(mod.id, mod.version, package.name, file.filename), file) for file in package.files]
    return {
        "name": package.name,
        "notes": package.notes,
        "status": package.status,
        "environment": package.environment,
        "folder": package.folder,
        "is_vp": package.is_vp,
        "dependencies": [_dependency(dependency) for dependency in package.dependencies],
        "executables": [_executable(executable) for executable in package.executables],
        "files": [_file(file, contents[key], layout.dests[key]) for key, file in files],
        "filelist": [entry for key, file in files for entry in _filelist(key, file, contents[key], layout)],
    }


def _dependency(dependency: Dependency) -> dict[str, Any]:
    return {"id": dependency.id, "version": dependency.version, "packages": list(dependency.packages)}


def _executable(executable: Executable) -> dict[str, Any]:
    properties = {} if executable.properties is None else {"properties": executable.properties}
    return {"file": executable.file, "label": executable.label, "debug": executable.debug, **properties}


def _file(file: PackageFile, contents: Contents, dest: str) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "is_archive": file.is_archive,
        "dest": dest,
        **_checksums(contents.digest),
        "filesize": contents.digest.size,
        "urls": list(contents.urls),
    }


def _filelist(key: FileKey, file: PackageFile, contents: Contents, layout: Layout) -> Iterable[dict[str, Any]]:
    """One entry per file that stays installed. Newer Python clients need `orig_name` as text for plain files too."""
    places = layout.places[key]
    for member in members_of(file, contents):
        place = places.get(member.path)
        if place is not None:
            yield {
                "filename": place,
                "archive": file.filename,
                "orig_name": member.path,
                **_checksums(member.digest),
            }


def _checksums(digest: Digest) -> dict[str, Any]:
    return {"checksum": ["sha256", digest.sha256], "md5sum": digest.md5}
