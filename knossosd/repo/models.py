"""Mods as we understand them: complete, checked, and in one form however the document was written."""

from dataclasses import dataclass, field
from typing import Any, Literal

ModType = Literal["mod", "tc", "engine", "tool", "ext"]
Status = Literal["required", "recommended", "optional"]
ActionType = Literal["delete", "move", "copy", "mkdir"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """Another mod that a package needs. `version` is a spec that every client reads, None means any."""

    id: str
    version: str | None
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Executable:
    """A program of a package. `label` None is the release build; `debug` is the 2017 client's word for it."""

    file: str
    label: str | None
    debug: bool
    properties: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One archive, or one plain file, of a package. `dest` is a folder of the mod, "" its top.

    `expected_md5` and `expected_sha256` are what the document said of the content, None when it said nothing.
    """

    filename: str
    urls: tuple[str, ...]
    is_archive: bool
    dest: str
    expected_md5: str | None
    expected_sha256: str | None


@dataclass(frozen=True, slots=True)
class Package:
    """A part of a mod that players can choose. `environment` is a boolean expression, "" means everywhere."""

    name: str
    notes: str
    status: Status
    environment: str
    folder: str | None
    is_vp: bool
    dependencies: tuple[Dependency, ...]
    executables: tuple[Executable, ...]
    files: tuple[PackageFile, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """Something done to the mod's files after unpacking. `dest` is None for delete and mkdir."""

    type: ActionType
    paths: tuple[str, ...]
    dest: str | None
    glob: bool

    def as_json(self) -> dict[str, Any]:
        """The action as a document has it."""
        dest = {} if self.dest is None else {"dest": self.dest}
        return {"type": self.type, "paths": list(self.paths), **dest, "glob": self.glob}


@dataclass(frozen=True, slots=True)
class Mod:
    """One version of a mod. Dates are `YYYY-MM-DD`; images are absolute links."""

    id: str
    title: str
    type: ModType
    version: str
    parent: str | None
    stability: str | None
    private: bool
    folder: str
    description: str
    notes: str
    logo: str | None
    tile: str | None
    banner: str | None
    screenshots: tuple[str, ...]
    attachments: tuple[str, ...]
    videos: tuple[str, ...]
    release_thread: str | None
    first_release: str | None
    last_update: str | None
    cmdline: str
    mod_flag: tuple[str, ...]
    actions: tuple[Action, ...]
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class Repo:
    """All mods of a document, in its order."""

    mods: tuple[Mod, ...] = field(default=())
