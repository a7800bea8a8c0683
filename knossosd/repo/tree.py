"""A tree of files, as it lies in a mod's folder.

Paths are relative to the top, their parts separated by "/"; "" is the top itself. Folders come into being with their
first file, and stay when their last file has gone.
"""

import fnmatch
import re
from collections.abc import Iterator
from typing import Generic, TypeVar, Union

from knossosd.repo.names import join

T = TypeVar("T")
Node = Union[T, "Folder[T]"]


class Folder(dict[str, "Node[T]"], Generic[T]):
    """The entries of one folder by name."""

    def walk(self, path: str) -> Iterator[tuple[str, T]]:
        """Every file in the folder, which lies at `path`, with its path."""
        beginning = join(path, "")
        for name, node in self.items():
            if isinstance(node, Folder):
                yield from node.walk(beginning + name)
            else:
                yield beginning + name, node

    def count(self) -> int:
        """How many files and folders are in it, all the way down."""
        return len(self) + sum(node.count() for node in self.values() if isinstance(node, Folder))

    def copy(self) -> "Folder[T]":
        """A folder of its own with the same files, all the way down."""
        return Folder({name: node.copy() if isinstance(node, Folder) else node for name, node in self.items()})


class Misfit(Exception):
    """Files and folders are in each other's way; the message says which."""


class Tree(Generic[T]):
    """Files by path. A file is whatever the caller puts there."""

    def __init__(self, top: Folder[T] | None = None) -> None:
        self.top: Folder[T] = Folder() if top is None else top

    def copy(self) -> "Tree[T]":
        """A tree of its own with the same files."""
        return Tree(self.top.copy())

    def find(self, path: str) -> Node[T] | None:
        """The file or folder at `path`."""
        node: Node[T] | None = self.top
        for part in path.split("/") if path else ():
            node = node.get(part) if isinstance(node, Folder) else None
            if node is None:
                return None
        return node

    def make_folder(self, path: str) -> Folder[T]:
        """The folder at `path`, made with its parents when it is missing. Raises `Misfit`."""
        folder = self.top
        parts = path.split("/") if path else []
        for depth, part in enumerate(parts, 1):
            node = folder.get(part)
            if node is None:
                node = folder[part] = Folder()
            elif not isinstance(node, Folder):
                raise Misfit(f"{'/'.join(parts[:depth])} is a file and cannot hold other files")
            folder = node
        return folder

    def put(self, path: str, node: Node[T]) -> list[tuple[str, T]]:
        """Put a file or folder at `path`; two folders become one.

        Returns the files that were replaced, with their paths. Raises `Misfit`.
        """
        if not path:
            if not isinstance(node, Folder):
                raise Misfit("a file cannot take the place of the whole mod")
            return [one for name, child in node.items() for one in self.put(name, child)]
        parent, _, name = path.rpartition("/")
        folder = self.make_folder(parent)
        old = folder.get(name)
        if old is None:
            folder[name] = node
            return []
        if isinstance(old, Folder) and isinstance(node, Folder):
            return [one for child_name, child in node.items() for one in self.put(join(path, child_name), child)]
        if isinstance(old, Folder):
            raise Misfit(f"{path} is a folder and cannot be replaced by a file")
        if isinstance(node, Folder):
            raise Misfit(f"{path} is a file and cannot be replaced by a folder")
        folder[name] = node
        return [(path, old)]

    def take(self, path: str) -> Node[T] | None:
        """Remove and return what is at `path`, which is not the top."""
        parent, _, name = path.rpartition("/")
        folder = self.find(parent)
        return folder.pop(name, None) if isinstance(folder, Folder) else None

    def walk(self) -> Iterator[tuple[str, T]]:
        """Every file with its path."""
        return self.top.walk("")

    def match(self, pattern: str) -> list[str]:
        """The paths that match `pattern`, in alphabetical order.

        Each part is matched for itself: `*`, `?` and `[…]` are wildcards that match no leading dot, case counts, and
        there is no recursion. A path that exists just as the pattern is written is the only match.
        """
        if self.find(pattern) is not None:
            return [pattern]
        found: list[tuple[str, Node[T]]] = [("", self.top)]
        for part in pattern.split("/"):
            found = [
                (join(path, name), node[name])
                for path, node in found
                if isinstance(node, Folder)
                for name in _matching(part, node)
            ]
        return sorted(path for path, _ in found)


def _matching(pattern: str, folder: "Folder[T]") -> list[str]:
    if not has_wildcard(pattern):
        return [pattern] if pattern in folder else []
    matches = re.compile(fnmatch.translate(pattern)).match
    return [name for name in folder if matches(name) and (not name.startswith(".") or pattern.startswith("."))]


def has_wildcard(pattern: str) -> bool:
    """Whether `pattern` has a wildcard at all."""
    return any(character in pattern for character in "*?[")
