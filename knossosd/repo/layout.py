"""Where every file of a mod lands: unpacked, then changed by the mod's actions.

The Python clients unpack an archive aside and move each file to the place that the filelist names. Knossos.NET unpacks
the whole archive into `dest` and looks at neither filelist nor actions. Where both cannot come to the same result, the
filelist is right for the former, and the modder is told what the latter will do.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from knossosd.faults import Code, Finding, InputFault
from knossosd.repo.actions import Performance
from knossosd.repo.contents import Contents, FileKey, Member
from knossosd.repo.models import Action, Mod, PackageFile
from knossosd.repo.names import examples, join
from knossosd.repo.portable import on_windows
from knossosd.repo.tree import Misfit, Tree


class Unpacked(NamedTuple):
    """A file of the mod: which entry of `files` it came from, and its path there."""

    key: FileKey
    path: str


@dataclass(slots=True)
class Layout:
    """The result: for each entry of `files` the final paths of its files by their paths in there, and the folder that
    it is unpacked to; the actions that were performed, with the one that was added for a misplaced mod.ini."""

    places: dict[FileKey, dict[str, str]]
    dests: dict[FileKey, str] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    warnings: list[Finding] = field(default_factory=list)


def files_of(mod: Mod) -> list[tuple[FileKey, PackageFile]]:
    """Every entry of `files` in the mod, in its order."""
    return [
        (FileKey(mod.id, mod.version, package.name, file.filename), file)
        for package in mod.packages
        for file in package.files
    ]


def members_of(file: PackageFile, contents: Contents) -> Sequence[Member]:
    """The files that an entry of `files` becomes on the player's disk, with their paths below its `dest`."""
    return contents.members if file.is_archive else [Member(file.filename, contents.digest)]


def lay_out(mod: Mod, contents: Mapping[FileKey, Contents]) -> Layout:
    """Work out where the files of `mod` land, `contents` being what its archives hold.

    Raises `InputFault` with the code PATH_CONFLICT when a file lies where a folder must be, or folders lie too deep, or
    ACTION_FAILED.
    """
    try:
        return _lay_out(mod, contents)
    except RecursionError:
        raise InputFault(
            Code.PATH_CONFLICT,
            "Folders of the mod lie inside each other too deeply.",
            "Look at the dest of the files and at the actions: no player's system has such paths.",
        ) from None


def _lay_out(mod: Mod, contents: Mapping[FileKey, Contents]) -> Layout:
    layout = Layout({key: {} for key, _ in files_of(mod)}, actions=mod.actions)
    tree, lost = _unpack(mod, contents, layout)
    performance = Performance(tree)
    performance.perform(mod.actions)
    layout.warnings += performance.warnings
    lost.update(performance.replaced)
    if mod.type in ("mod", "tc"):
        tree = _lift_mod_ini(tree, layout)
    _choose_places(mod, tree, layout)
    _warn_of_twins(layout)
    for key, file in files_of(mod):
        if file.is_archive:
            _fit_dest(key, file, [member.path for member in contents[key].members], lost, layout)
        else:
            layout.dests[key] = file.dest
            layout.warnings.append(_not_an_archive(key))
    return layout


def _unpack(mod: Mod, contents: Mapping[FileKey, Contents], layout: Layout) -> tuple[Tree[Unpacked], set[Unpacked]]:
    """Put all files where unpacking puts them; a later archive replaces the files of an earlier one."""
    tree: Tree[Unpacked] = Tree()
    replaced: dict[tuple[FileKey, FileKey], list[str]] = {}
    lost: set[Unpacked] = set()
    for key, file in files_of(mod):
        for member in members_of(file, contents[key]):
            try:
                for path, old in tree.put(join(file.dest, member.path), Unpacked(key, member.path)):
                    replaced.setdefault((old.key, key), []).append(path)
                    lost.add(old)
            except Misfit as misfit:
                raise _conflict(key, misfit) from misfit
    for (old_key, new_key), paths in replaced.items():
        layout.warnings.append(_replaced(old_key, new_key, paths))
    return tree, lost


def _lift_mod_ini(tree: Tree[Unpacked], layout: Layout) -> Tree[Unpacked]:
    """A mod.ini belongs at the top: when it lies deeper, everything beside it is moved up, as the modder forgot to."""
    found = [path for path, _ in tree.walk() if path.rpartition("/")[2] == "mod.ini"]
    if not found or "mod.ini" in found:
        return tree
    folder = min(found, key=lambda path: path.count("/")).rpartition("/")[0]
    action = Action("move", (f"{folder}/*", f"{folder}/.*"), "", glob=True)
    performance = Performance(tree.copy())
    try:
        performance.perform([action])
    except InputFault:
        layout.warnings.append(_mod_ini_stays(folder))
        return tree
    if performance.replaced:
        layout.warnings.append(_mod_ini_stays(folder))
        return tree
    layout.actions = (*layout.actions, action)
    layout.warnings.append(
        Finding(
            Code.MOD_INI_MOVED,
            f"The mod.ini lies in the folder {folder}. An action that moves everything in it to the top was added.",
            "Pack the archive so that mod.ini is at its top.",
        )
    )
    return performance.tree


def _choose_places(mod: Mod, tree: Tree[Unpacked], layout: Layout) -> None:
    """Every client installs a file of an archive to one place only, so of its copies one is kept: the one where
    unpacking puts it anyway, or else the first."""
    dests = {key: file.dest for key, file in files_of(mod)}
    left_out: dict[FileKey, list[str]] = {}
    for path, unpacked in tree.walk():
        places = layout.places[unpacked.key]
        first = places.setdefault(unpacked.path, path)
        if first == path:
            continue
        if path == join(dests[unpacked.key], unpacked.path):
            places[unpacked.path] = path
            left_out.setdefault(unpacked.key, []).append(first)
        else:
            left_out.setdefault(unpacked.key, []).append(path)
    layout.warnings += [_copies_left_out(key, paths) for key, paths in left_out.items()]


def _fit_dest(key: FileKey, file: PackageFile, members: Sequence[str], lost: set[Unpacked], layout: Layout) -> None:
    """Give the archive a `dest` that unpacks all of it to its final places, when there is one."""
    places = layout.places[key]
    dest = _common_dest(file, places)
    layout.dests[key] = file.dest if dest is None else dest
    deleted = [path for path in members if path not in places and Unpacked(key, path) not in lost]
    if dest is None or deleted:
        moved = [path for path in members if path in places and places[path] != join(layout.dests[key], path)]
        layout.warnings.append(_places_not_understood(key, moved, deleted))


def _common_dest(file: PackageFile, places: Mapping[str, str]) -> str | None:
    dests = set()
    for path, place in places.items():
        if place != path and not place.endswith("/" + path):
            return None
        dests.add(place[: -len(path)])
    dests = {dest.rstrip("/") for dest in dests}
    if not dests:
        return file.dest
    return dests.pop() if len(dests) == 1 else None


def _warn_of_twins(layout: Layout) -> None:
    paths = [path for places in layout.places.values() for path in places.values()]
    spellings = [on_windows(path) for path in paths]
    folders = _folders_of(spellings)
    if len(set(spellings)) < len(paths) or not folders.isdisjoint(spellings):
        count = Counter(spellings)
        twins = [
            path for path, spelling in zip(paths, spellings, strict=True) if count[spelling] > 1 or spelling in folders
        ]
        layout.warnings.append(
            Finding(
                Code.CASE_CONFLICT,
                f"On Windows these are the same file, or a file and a folder of one name: "
                f"{examples(sorted(twins, key=on_windows))}.",
                "Give the files names that differ in more than upper and lower case or the way accents are written.",
            )
        )


def _folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder that one of the files lies in, at any depth."""
    folders: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in folders:
            folders.add(path)
    return folders


def _conflict(key: FileKey, misfit: Misfit) -> InputFault:
    fault = InputFault(
        Code.PATH_CONFLICT,
        f"The files of {key.filename} do not fit with the others: {misfit}.",
        "Rename one of them, or give the archives different folders with dest.",
    )
    fault.finding = fault.finding.at(package=key.package, file=key.filename)
    return fault


def _replaced(old: FileKey, new: FileKey, paths: Sequence[str]) -> Finding:
    return Finding(
        Code.FILE_REPLACED,
        f"{examples(paths)}: the file of {new.filename} replaces the one of {old.filename} (package {old.package}).",
        "Only the later file is installed. Keep each file in one archive.",
        package=new.package,
        file=new.filename,
    )


def _mod_ini_stays(folder: str) -> Finding:
    return Finding(
        Code.MOD_INI_MOVED,
        f"The mod.ini lies in the folder {folder}, and cannot be moved to the top without overwriting other files.",
        "Pack the archive so that mod.ini is at its top.",
    )


def _copies_left_out(key: FileKey, paths: Sequence[str]) -> Finding:
    return Finding(
        Code.COPY_LEFT_OUT,
        f"These copies were left out: {examples(paths)}. Clients install each file of an archive only once.",
        "Put the files into the archive a second time, where the copies should be.",
        package=key.package,
        file=key.filename,
    )


def _places_not_understood(key: FileKey, moved: Sequence[str], deleted: Sequence[str]) -> Finding:
    parts = []
    if moved:
        parts.append(f"leaves these files where they are in the archive: {examples(moved)}")
    if deleted:
        parts.append(f"installs these deleted files: {examples(deleted)}")
    return Finding(
        Code.PLACES_NOT_UNDERSTOOD,
        f"Knossos.NET performs no actions. From {key.filename} it {' and '.join(parts)}.",
        "Pack the archive so that no action is needed.",
        package=key.package,
        file=key.filename,
    )


def _not_an_archive(key: FileKey) -> Finding:
    return Finding(
        Code.NOT_AN_ARCHIVE,
        f"{key.filename} is no archive, but the clients of today open every file as one.",
        "Pack it into a .7z or .zip.",
        package=key.package,
        file=key.filename,
    )
