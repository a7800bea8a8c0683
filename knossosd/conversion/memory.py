"""How much is remembered of earlier conversions, and for how long: records, and archives that no mod published."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import Self

from knossosd.conversion.cache import Cache, Forgetful
from knossosd.conversion.disposable import Disposable, clock_of, status_of
from knossosd.conversion.store import Store
from knossosd.settings import Settings


@dataclass(frozen=True, slots=True)
class Memory:
    """Files of the `cache` and nameless contents of the `store`: at most `max_size` bytes that were of use within
    `lifetime` seconds. A content that was of use within `protection` seconds stays, whatever the size.

    Whoever uses a content holds a link of its own. So removing one that a conversion takes at this very moment costs
    a download later on, and takes nothing away from anybody.
    """

    cache: Cache
    store: Store
    max_size: int
    lifetime: float
    protection: float
    clock: Callable[[], float] = time

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            Cache(settings.cache_path),
            Store(settings.store_path),
            settings.cache_size,
            settings.cache_lifetime,
            settings.store_protection,
            clock_of(settings.work_path),
        )

    def without_recall(self) -> Self:
        """The same memory, which recalls nothing and remembers all."""
        return replace(self, cache=Forgetful(self.cache.folder))

    def records(self) -> list[Disposable]:
        """What the cache holds."""
        return [
            Disposable(path, status.st_size, status.st_mtime)
            for path in self.cache.files()
            if (status := status_of(path))
        ]

    def contents(self) -> list[Disposable]:
        """The archives in the store that no mod published."""
        return [
            Disposable(path, status.st_size, status.st_ctime)
            for path in self.store.nameless()
            if (status := status_of(path))
        ]

    def superfluous(self) -> list[Disposable]:
        """What is too old, and the longest unused of the rest as far as that is too large."""
        protected, rest = self._divide()
        found, size, now = [], sum(one.size for one in protected), self.clock()
        for one in sorted(rest, key=lambda one: -one.used):
            size += one.size
            if size > self.max_size or now - one.used > self.lifetime:
                found.append(one)
        return found

    def forgettable(self) -> list[Disposable]:
        """Everything but the contents that are protected."""
        return self._divide()[1]

    def trim(self) -> list[Disposable]:
        """Remove what is superfluous; returns what went."""
        return self._remove(self.superfluous())

    def clear(self) -> list[Disposable]:
        """Remove everything that is forgettable; returns what went."""
        return self._remove(self.forgettable())

    def _divide(self) -> tuple[list[Disposable], list[Disposable]]:
        """The contents that are protected, and everything else."""
        contents, since = self.contents(), self.clock() - self.protection
        protected = [one for one in contents if one.used > since]
        return protected, [*self.records(), *(one for one in contents if one.used <= since)]

    def _remove(self, disposables: Iterable[Disposable]) -> list[Disposable]:
        return [one for one in disposables if self._is_removed(one.path)]

    def _is_removed(self, path: Path) -> bool:
        """Whether it was us who removed it."""
        if path.is_relative_to(self.store.folder):
            return self.store.remove(path)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True
