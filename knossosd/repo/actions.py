"""What a mod's actions do to its files after unpacking.

    delete  removes files and folders
    move    renames one thing to `dest`; into `dest` when that is a folder, or there are several things or a wildcard
    copy    the same for files; a folder's *contents* are merged into `dest`, as the original converter did
    mkdir   makes folders, with their parents

Missing parents are made, folders that meet become one, and a file that meets a file replaces it with a warning. All
paths of an action are expanded before it begins. What cannot be done is the mod's fault and says which action it is.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple

from knossosd.faults import Code, Finding, InputFault
from knossosd.repo.models import Action
from knossosd.repo.names import examples, join
from knossosd.repo.tree import Folder, Misfit, Node, T, Tree, has_wildcard


class Match(NamedTuple):
    """A path that an action means, and whether a wildcard found it."""

    path: str
    by_wildcard: bool


MAX_COPIED = 100_000
"""Files and folders that actions may copy: each could copy what the ones before have copied."""


class Performance(Generic[T]):
    """The performing of actions on one tree.

    `replaced` are the files that were lost to others, `warnings` what a modder should know.
    """

    def __init__(self, tree: Tree[T]) -> None:
        self.tree = tree
        self.replaced: list[T] = []
        self.warnings: list[Finding] = []
        self._copied = 0

    def perform(self, actions: Sequence[Action]) -> None:
        """Perform the actions in order. Raises `InputFault` with the code ACTION_FAILED."""
        for index, action in enumerate(actions):
            try:
                self._perform(action, f"actions[{index}]")
            except Misfit as misfit:
                raise _failed(f"actions[{index}]", action, str(misfit)) from misfit

    def _perform(self, action: Action, name: str) -> None:
        if action.type == "mkdir":
            for path in action.paths:
                self.tree.make_folder(path)
            return
        matches = self._expand(action, name)
        if action.type == "delete":
            for match in matches:
                self.tree.take(match.path)
            return
        dest = action.dest or ""
        dest_is_folder = isinstance(self.tree.find(dest), Folder) or len(matches) > 1
        replaced: list[str] = []
        for match in matches:
            if match.by_wildcard and _is_within(dest, match.path):  # "*" means everything else
                continue
            target = join(dest, _basename(match.path)) if dest_is_folder or match.by_wildcard else dest
            if action.type == "move":
                replaced += self._move(match.path, target)
            else:
                replaced += self._copy(match, dest, target)
        if replaced:
            self._warn(
                Code.FILE_REPLACED,
                f"{name}: {examples(replaced)} was there already and was replaced.",
                "Delete or move the other file first if that is what you want.",
            )

    def _expand(self, action: Action, name: str) -> list[Match]:
        """What the action's paths mean, each once."""
        matches: dict[str, Match] = {}
        for pattern in action.paths:
            exists = self.tree.find(pattern) is not None
            by_wildcard = action.glob and not exists and has_wildcard(pattern)
            found = [pattern] if exists else self.tree.match(pattern) if by_wildcard else []
            if not found:
                self._warn(
                    Code.ACTION_WITHOUT_EFFECT,
                    f"{name}: there is no {pattern} to {action.type}.",
                    "Check the spelling: upper and lower case count, and * does not look into folders.",
                )
            for path in found:
                matches.setdefault(path, Match(path, by_wildcard))
        return list(matches.values())

    def _move(self, path: str, target: str) -> list[str]:
        if target == path:
            return []
        if _is_within(target, path):
            raise Misfit(f"{path} cannot be moved into itself")
        node = self.tree.take(path)
        # There is none when it went along with a folder that another path of the action named.
        return [] if node is None else self._put(target, node)

    def _copy(self, match: Match, dest: str, target: str) -> list[str]:
        node = self.tree.find(match.path)
        self._copied += node.count() if isinstance(node, Folder) else 1
        if self._copied > MAX_COPIED:
            raise Misfit(f"the actions copy more than {MAX_COPIED} files and folders")
        if isinstance(node, Folder):
            return self._put(target if match.by_wildcard else dest, node.copy())
        return [] if node is None else self._put(target, node)

    def _put(self, target: str, node: Node[T]) -> list[str]:
        """Put a file or folder at `target`; returns the paths of files that it replaced, other than with themselves."""
        lost = [(path, old) for path, old in self.tree.put(target, node) if old != self.tree.find(path)]
        self.replaced += [old for _, old in lost]
        return [path for path, _ in lost]

    def _warn(self, code: Code, message: str, hint: str) -> None:
        self.warnings.append(Finding(code, message, hint))


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _failed(name: str, action: Action, reason: str) -> InputFault:
    return InputFault(
        Code.ACTION_FAILED,
        f"{name} ({action.type}) cannot be done: {reason}.",
        "Change the action, or pack the archive so that no action is needed.",
    )
