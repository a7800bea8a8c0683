"""One published content: which files have its names, and whether their bytes are still the ones that were published."""

import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from knossosd.conversion.digest import CHUNK, Digester
from knossosd.conversion.disposable import status_of
from knossosd.conversion.ledger import Published
from knossosd.conversion.mirror import Mirror
from knossosd.repo.contents import Digest


class Changed(Exception):
    """A file was replaced or written while it was read, so nothing can be said of it now."""


class Seal(NamedTuple):
    """Which file it is, and that it is as it was, as far as that shows without reading it."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Seal | None":
        """The seal of a regular file, None when there is none at `path`."""
        status = status_of(path)
        return cls._of_status(status) if status and stat.S_ISREG(status.st_mode) else None

    @classmethod
    def _of_status(cls, status: os.stat_result) -> "Seal":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def holds(self, descriptor: int) -> bool:
        """Whether the open file is that one."""
        return self == self._of_status(os.fstat(descriptor))


class Reader:
    """Digests files at the pace of somebody who has time. `size` is how many bytes were read so far.

    After every piece `rest` is called with the seconds that it took, and `check`, which raises when it shall end.
    """

    def __init__(self, check: Callable[[], None], rest: Callable[[float], None]) -> None:
        self.size = 0
        self.check = check
        self._rest = rest

    def digest(self, path: Path, seal: Seal) -> Digest:
        """The digest of the file with the `seal`. Raises `Changed`, or `OSError` when the disk cannot read it."""
        digester = Digester()
        try:
            with path.open("rb", buffering=0) as file:
                _leave_memory_alone(file.fileno(), 0)  # the disk shall be read, not what was in memory before
                if not seal.holds(file.fileno()):
                    raise Changed
                began = time.monotonic()
                while piece := file.read(CHUNK):
                    digester.update(piece)
                    self.size += len(piece)
                    _leave_memory_alone(file.fileno(), digester.size)
                    self._rest(time.monotonic() - began)
                    self.check()
                    began = time.monotonic()
                if not seal.holds(file.fileno()):
                    raise Changed
        except FileNotFoundError as error:
            raise Changed from error
        return digester.digest()


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that has one or more of the content's names, or its place in the store. `trouble` is what is wrong with
    its bytes, "" when nothing is; `digest` is None when they cannot be read."""

    seal: Seal
    paths: tuple[Path, ...]
    digest: Digest | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found of a content. `names` are the ones that exist and are its own, `strangers` those that are another
    content's by now, with the seals of their files."""

    names: tuple[str, ...]
    strangers: dict[str, Seal]
    copies: tuple[Copy, ...]
    is_stored: bool

    @property
    def sound(self) -> list[Copy]:
        """The copies that have the bytes that were published."""
        return [copy for copy in self.copies if not copy.trouble]

    @property
    def damage(self) -> str:
        """What is wrong with it, "" when nothing is, or when it is published no more."""
        if not self.names:
            return ""
        troubles = [copy.trouble for copy in self.copies if copy.trouble]
        if troubles:
            return troubles[0]
        return "" if self.is_stored else "it is missing in the store"


def examine(content: Published, mirror: Mirror, reader: Reader) -> Examination:
    """Read the files that have the content's names, each once however many names it has.

    Raises `Changed` when one of them changes meanwhile.
    """
    place = mirror.store.place(content.sha256)
    paths: dict[Seal, list[Path]] = {}
    for path in (place, *(mirror.path / name for name in content.names)):
        if seal := Seal.of(path):
            paths.setdefault(seal, []).append(path)
    own, names, strangers = [], [], {}
    for seal, same in paths.items():
        copy = _read(content, seal, same, reader)
        named = [mirror.name_of(path) for path in same if path != place]
        if place not in same and any(_is_of_another(content, path, copy.digest, mirror) for path in same):
            strangers.update(dict.fromkeys(named, seal))
        else:
            own.append(copy)
            names += named
    return Examination(tuple(names), strangers, tuple(own), any(place in copy.paths for copy in own))


def _read(content: Published, seal: Seal, paths: list[Path], reader: Reader) -> Copy:
    try:
        digest = reader.digest(paths[0], seal)
    except OSError as error:
        return Copy(seal, tuple(paths), None, f"it cannot be read: {error.strerror or error}")
    trouble = "" if content.is_of(digest) else "its bytes are not the ones that were published"
    return Copy(seal, tuple(paths), digest, trouble)


def _is_of_another(content: Published, file: Path, digest: Digest | None, mirror: Mirror) -> bool:
    """Whether the `file`, whose bytes have the `digest`, is not the damaged `content` but another one, which was
    published under the same name.

    That happens only when somebody removed the name by hand: what is published keeps its names.
    """
    if digest is None or digest.sha256 == content.sha256:
        return False
    known = mirror.ledger.find(digest.sha256)
    return mirror.store.shares(file, digest.sha256) or (known is not None and mirror.name_of(file) in known.names)


def _leave_memory_alone(descriptor: int, size: int) -> None:
    """Let the system forget the first `size` bytes of the file, 0 for all: it has better uses for its memory."""
    if sys.platform == "linux":
        os.posix_fadvise(descriptor, 0, size, os.POSIX_FADV_DONTNEED)
