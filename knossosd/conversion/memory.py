"""How much is remembered of earlier conversions, and for how long: records, and archives that no mod published."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import NamedTuple, Self

from knossosd.conversion.cache import Cache, Forgetful
from knossosd.conversion.store import Store
from knossosd.settings import Settings


class Remembered(NamedTuple):
    """A file that is there only to be remembered: its size in bytes, and when it was last of use (epoch seconds)."""

    path: Path
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Files of the `cache` and nameless contents of the `store`: at most `max_size` bytes that were of use within
    `lifetime` seconds."""

    cache: Cache
    store: Store
    max_size: int
    lifetime: float

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(Cache(settings.cache_path), Store(settings.store_path), settings.cache_size, settings.cache_lifetime)

    def without_recall(self) -> Self:
        """The same memory, which recalls nothing and remembers all."""
        return replace(self, cache=Forgetful(self.cache.folder))

    def records(self) -> list[Remembered]:
        """What the cache holds."""
        return [
            Remembered(path, status.st_size, status.st_mtime) for path in self.cache.files() for status in _status(path)
        ]

    def contents(self) -> list[Remembered]:
        """The archives in the store that no mod published."""
        return [
            Remembered(path, status.st_size, status.st_ctime)
            for path in self.store.nameless()
            for status in _status(path)
        ]

    def trim(self) -> list[Path]:
        """Remove what is too old, and then the longest unused until the rest is small enough; returns what went."""
        removed, size = [], 0
        for one in sorted([*self.records(), *self.contents()], key=lambda one: -one.used):
            size += one.size
            if size > self.max_size or time() - one.used > self.lifetime:
                one.path.unlink(missing_ok=True)
                removed.append(one.path)
        return removed

    def clear(self) -> list[Path]:
        """Remove everything; returns what went."""
        removed = [one.path for one in (*self.records(), *self.contents())]
        for path in removed:
            path.unlink(missing_ok=True)
        return removed


def _status(path: Path) -> Iterator[os.stat_result]:
    """The file's status, unless somebody has just removed it."""
    with suppress(FileNotFoundError):
        yield path.stat()
