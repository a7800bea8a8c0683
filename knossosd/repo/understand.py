"""What a document means: defaults filled in, older forms brought into one, and the parts checked against each other.

What was changed so that today's clients can read it becomes a warning; what cannot be meant becomes a problem.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from knossosd.faults import Code, Finding
from knossosd.repo.environment import Condition, from_conditions, is_read_by_all
from knossosd.repo.models import (
    Action,
    Dependency,
    Executable,
    Mod,
    ModType,
    Package,
    PackageFile,
    Repo,
)
from knossosd.repo.schema import (
    WrittenAction,
    WrittenDependency,
    WrittenExecutable,
    WrittenFile,
    WrittenMod,
    WrittenPackage,
    WrittenPair,
    WrittenPlace,
    WrittenRepo,
)
from knossosd.repo.urls import is_web_link, join_link
from knossosd.repo.versions import complete_version, write_spec

Place = tuple[int | str, ...]

RETAIL = "FS2"
"""The parent of mods that name none: every client takes them for mods of the retail game."""

OFFICIAL_ENGINE = "FSO"
"""The id of the game's own builds, which no mod loads as a mod."""


class Understanding:
    """The `repo` that a written document means, with `problems` (place and message) and `warnings`.

    `repo` is of use only when there are no problems.
    """

    def __init__(self, written: WrittenRepo) -> None:
        self.problems: list[tuple[Place, str]] = []
        self.warnings: list[Finding] = []
        self.repo = Repo(tuple(self._mod(mod, ("mods", index)) for index, mod in enumerate(written.mods)))
        keys = [(mod.id, mod.version) for mod in self.repo.mods]
        for index in _repeated(keys):
            name, version = keys[index]
            self._problem(("mods", index), f"is the second mod with id {name} and version {version}")

    def _problem(self, place: Place, message: str) -> None:
        self.problems.append((place, message))

    def _warn(self, code: Code, mod: WrittenMod, message: str, hint: str = "", package: str | None = None) -> None:
        self.warnings.append(Finding(code, message, hint, mod=mod.id, package=package))

    def _mod(self, mod: WrittenMod, place: Place) -> Mod:
        kind = self._type(mod)
        packages = tuple(
            self._package(package, mod, kind, (*place, "packages", index)) for index, package in enumerate(mod.packages)
        )
        for index in _repeated([package.name for package in packages]):
            self._problem(
                (*place, "packages", index, "name"), f'is the second package named "{packages[index].name}" in this mod'
            )
        self._warn_of_repeated_filenames(mod, packages)
        return Mod(
            id=mod.id,
            title=mod.title,
            type=kind,
            version=self._version(mod),
            parent=self._parent(mod, kind),
            stability=(mod.stability or "stable") if kind == "engine" else None,
            private=bool(mod.private),
            folder=mod.folder or mod.id,
            description=mod.description or "",
            notes=mod.notes or "",
            logo=mod.logo or None,
            tile=self._image(mod, "tile", mod.tile),
            banner=self._image(mod, "banner", mod.banner),
            screenshots=tuple(self._images(mod, "screenshots", mod.screenshots)),
            attachments=tuple(self._images(mod, "attachments", mod.attachments)),
            videos=tuple(mod.videos or ()),
            release_thread=mod.release_thread or None,
            first_release=mod.first_release,
            last_update=mod.last_update,
            cmdline=mod.cmdline or "",
            mod_flag=tuple(mod.mod_flag or _mod_flag(mod.id, kind, packages)),
            actions=tuple(_action(action) for action in mod.actions or ()),
            packages=packages,
        )

    def _type(self, mod: WrittenMod) -> ModType:
        if mod.type == "addon":
            self._warn(
                Code.TYPE_REWRITTEN,
                mod,
                'The type "addon" was written as "mod": no client of today knows addons.',
                'Write "type": "mod", and make the mod that it adds to a dependency.',
            )
            return "mod"
        return mod.type or "mod"

    def _version(self, mod: WrittenMod) -> str:
        version = complete_version(mod.version)
        if version != mod.version:
            self._warn(
                Code.VERSION_REWRITTEN,
                mod,
                f"The version {mod.version} was written as {version}.",
                "Knossos.NET reads only versions of three numbers.",
            )
        if "+" in version:
            self._warn(
                Code.VERSION_REWRITTEN,
                mod,
                f"Knossos.NET takes the version {version} for a prerelease.",
                'Leave out the part behind "+".',
            )
        return version

    def _parent(self, mod: WrittenMod, kind: ModType) -> str | None:
        """Knossos.NET installs a mod only with a parent, and a total conversion only without."""
        if kind == "mod":
            return mod.parent or RETAIL
        if mod.parent is not None:
            self._warn(
                Code.PARENT_REWRITTEN,
                mod,
                f'The parent "{mod.parent}" was left out: something of type "{kind}" has none.',
                'Leave "parent" out, or give the type "mod".',
            )
        return None

    def _image(self, mod: WrittenMod, field: str, link: str | None) -> str | None:
        if not link or is_web_link(link):
            return link or None
        self._warn(
            Code.IMAGE_LEFT_OUT,
            mod,
            f'"{field}" was left out: {link} is not an absolute link.',
            "Knossos.NET fails to install a mod with such a picture. Give a link that starts with https://.",
        )
        return None

    def _images(self, mod: WrittenMod, field: str, links: Iterable[str] | None) -> Iterator[str]:
        return (image for link in links or () if (image := self._image(mod, field, link)))

    def _warn_of_repeated_filenames(self, mod: WrittenMod, packages: Iterable[Package]) -> None:
        counted = Counter(file.filename for package in packages for file in package.files)
        for filename in (name for name, count in counted.items() if count > 1):
            self._warn(
                Code.FILENAME_REPEATED,
                mod,
                f"Several packages have a file named {filename}.",
                "Knossos.NET downloads them to the same place at the same time. Give each its own name.",
            )

    def _package(self, package: WrittenPackage, mod: WrittenMod, kind: ModType, place: Place) -> Package:
        files = tuple(self._files(package, (*place, "files")))
        return Package(
            name=package.name,
            notes=package.notes or "",
            status=package.status or "recommended",
            environment=self._environment(package, mod, kind),
            folder=package.folder,
            is_vp=bool(package.is_vp),
            dependencies=tuple(self._dependency(one, package, mod) for one in package.dependencies or ()),
            executables=tuple(_executable(one) for one in package.executables or ()),
            files=files,
        )

    def _environment(self, package: WrittenPackage, mod: WrittenMod, kind: ModType) -> str:
        written = package.environment or ""
        expression = (
            written
            if isinstance(written, str)
            else from_conditions(Condition(one.value, one.negated) for one in written)
        )
        if not is_read_by_all(expression):
            self._warn(
                Code.ENVIRONMENT_UNREADABLE,
                mod,
                f'Knossos.NET does not understand the "!" in the environment "{expression}".',
                "Name the systems where the package does run.",
                package=package.name,
            )
        if kind == "engine" and not expression:
            self._warn(
                Code.ENVIRONMENT_MISSING,
                mod,
                "The package has no environment, so Knossos.NET never installs it.",
                'Say where the build runs, such as "windows && x86_64".',
                package=package.name,
            )
        return expression

    def _dependency(self, dependency: WrittenDependency, package: WrittenPackage, mod: WrittenMod) -> Dependency:
        spec = write_spec(dependency.version)
        if spec.widened:
            self._warn(
                Code.DEPENDENCY_WIDENED,
                mod,
                f'The dependency on {dependency.id} asks for "{dependency.version}", which not every client can read; '
                f"it was widened to {spec.text or 'any version'}.",
                'Use one of "1.2.3", ">=1.2.3" or "~1.2.3".',
                package=package.name,
            )
        return Dependency(dependency.id, spec.text, tuple(dependency.packages or ()))

    def _files(self, package: WrittenPackage, place: Place) -> Iterator[PackageFile]:
        seen: set[str] = set()
        for index, entry in enumerate(package.files or ()):
            for file in _in_one_form(entry):
                if file.filename in seen:
                    self._problem((*place, index), f'"{file.filename}" stands twice in this package')
                seen.add(file.filename)
                yield file


def _in_one_form(entry: WrittenFile | WrittenPair) -> Iterator[PackageFile]:
    if isinstance(entry, WrittenFile):
        yield _file(entry.filename, entry.urls, entry)
    else:
        bases, files = entry.root
        for filename, place in files.items():
            yield _file(filename, [join_link(base, filename) for base in bases], place)


def _file(filename: str, urls: Iterable[str], place: WrittenPlace) -> PackageFile:
    return PackageFile(
        filename=filename,
        urls=tuple(dict.fromkeys(urls)),
        is_archive=place.is_archive is not False,
        dest=place.dest or "",
        expected_md5=place.md5sum.lower() if isinstance(place.md5sum, str) and place.md5sum else None,
        expected_sha256=_sha256(place.checksum),
    )


def _sha256(checksum: Any) -> str | None:
    match checksum:
        case ["sha256", str(digest)]:
            return digest.lower()
    return None


def _action(action: WrittenAction) -> Action:
    dest = action.dest if action.type in ("move", "copy") else None
    return Action(action.type, tuple(action.paths), dest, action.glob is not False)


def _executable(executable: WrittenExecutable) -> Executable:
    """Knossos.NET takes a build without a label for a release, and one with an empty label for nothing it knows."""
    label = executable.label or ("debug" if executable.debug else None)
    return Executable(executable.file, label, "debug" in (label or "").lower(), executable.properties)


def _mod_flag(name: str, kind: ModType, packages: Iterable[Package]) -> list[str]:
    """What the game loads: the mod itself, then what its required packages depend on."""
    if kind not in ("mod", "tc"):
        return []
    needed = (
        dependency.id for package in packages if package.status == "required" for dependency in package.dependencies
    )
    return list(dict.fromkeys([name, *(one for one in needed if one != OFFICIAL_ENGINE)]))


def _repeated(values: list[Any]) -> list[int]:
    """The indexes of values that stood before."""
    seen: set[Any] = set()
    return [index for index, value in enumerate(values) if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
