"""What was published: a small record of every content that has a name on the mirror.

Unlike the cache it is not forgotten: the mirror is verified by it, and what is damaged is fetched again from the links
that stand in it.
"""

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from knossosd.conversion.disposable import clock_of
from knossosd.repo.contents import Digest

log = logging.getLogger(__name__)

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Published:
    """The record of one content. `size` (bytes) and `md5` are None while nobody knows them.

    `names` are its paths below the mirror, `urls` the links that lead to it, the best first. `verified` is when its
    bytes were last looked at (epoch seconds by the clock of the ledger, 0 for never), and `damage` what was wrong then,
    "" when nothing was.
    """

    sha256: str
    size: int | None = None
    md5: str | None = None
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    verified: float = 0.0
    damage: str = ""

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The content that a record describes; one of a newer version may say more than we understand.

        Raises ValueError, TypeError or KeyError when it is none.
        """
        said: dict[str, Any] = json.loads(text)
        known = {one.name: said[one.name] for one in fields(cls) if one.name in said}
        return cls(**{**known, "names": tuple(said["names"]), "urls": tuple(said["urls"])})

    def is_of(self, digest: Digest) -> bool:
        """Whether a content with this digest is the one that was published."""
        return digest.sha256 == self.sha256 and self.size in (None, digest.size) and self.md5 in (None, digest.md5)

    def with_digest(self, digest: Digest) -> Self:
        """The same record of a content that was seen whole."""
        return replace(self, size=digest.size, md5=digest.md5)

    def with_names(self, *names: str) -> Self:
        """The same record with these names as well."""
        return replace(self, names=tuple(sorted({*self.names, *names})))

    def without_names(self, *names: str) -> Self:
        """The same record without these names."""
        return replace(self, names=tuple(name for name in self.names if name not in names))

    def with_urls(self, *urls: str) -> Self:
        """The same record with these links before those that it has."""
        return replace(self, urls=tuple(dict.fromkeys((*urls, *self.urls))))


@dataclass(frozen=True, slots=True)
class Ledger:
    """The records in `folder`, on a file system that all hosts share."""

    folder: Path

    def find(self, sha256: str) -> Published | None:
        """The record of a content; None when there is none, or none that can be read."""
        path = self._path(sha256)
        try:
            return Published.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            log.warning("the record %s cannot be read and is left out", path)
            return None

    def all(self) -> Iterator[Published]:
        """All records."""
        for path in self.folder.glob("??/*.json"):
            if record := self.find(path.stem):
                yield record

    def now(self) -> float:
        """The time by the clock of the file system, which all hosts share."""
        self.make()
        return clock_of(self.folder)()

    def update(self, sha256: str, change: Callable[[Published], Published]) -> Published:
        """Put what `change` makes of the record in its place, and return it; a record without names is removed.

        `change` runs under a lock that all hosts respect, so names of the mirror are taken away and replaced in there:
        neither a record nor a name changes meanwhile. Raises `OSError` when the disk cannot take it.
        """
        with self._lock():
            before = self.find(sha256)
            after = change(before or Published(sha256))
            if not after.names:
                self._path(sha256).unlink(missing_ok=True)
            elif after != before:
                self._write(after)
            return after

    def make(self) -> None:
        """Make the folder, for its owner alone: links may hold secrets, and whoever can open a lock can hold it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.make()
        with (self.folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, record: Published) -> None:
        path = self._path(record.sha256)
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")  # one writer at a time, so what a crash left is written over
        with fresh.open("w") as file:
            file.write(json.dumps(asdict(record)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def _path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / f"{sha256}.json"
