"""Verifying the mirror: what was published is read again, the longest unread first, and repaired where it is damaged.

Verifying may end at any moment, whatever ends it: each content is noted when it was read, and nothing is half done.
"""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from knossosd.conversion.cache import Cache
from knossosd.conversion.disposable import status_of
from knossosd.conversion.errand import Errand
from knossosd.conversion.examination import Changed, Examination, Reader, Seal, examine
from knossosd.conversion.leases import Leases
from knossosd.conversion.ledger import Published
from knossosd.conversion.manifests import Manifests
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.repair import Outcome, Repair
from knossosd.settings import Settings

log = logging.getLogger(__name__)

LOCK = ".verifying"

NIGHT = 4 * 3600
"""Seconds that a verification may take when nobody waits for it. What it did not come to has its turn the next time."""


class UnderWay(Exception):
    """Another verification of the same mirror is running."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A published content that is damaged, and what became of it. `content.damage` says what was wrong."""

    content: Published
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        """`{sha256, size, names, damage, repaired, outcome}`."""
        content = self.content
        return {
            "sha256": content.sha256,
            "size": content.size,
            "names": list(content.names),
            "damage": content.damage,
            "repaired": self.outcome.is_repaired,
            "outcome": self.outcome.how,
        }

    def __str__(self) -> str:
        repaired = "repaired" if self.outcome.is_repaired else "not repaired"
        return f"{', '.join(self.content.names)}: {self.content.damage}; {repaired}. {self.outcome.how}"


class Verification:
    """Verifies the `mirror`, reading with the `reader`; without a `repair` it only tells. `examined` is how many
    contents were read so far. The `manifests` of damaged contents are forgotten."""

    def __init__(self, mirror: Mirror, manifests: Manifests, reader: Reader, repair: Repair | None) -> None:
        self.examined = 0
        self.reader = reader
        self._mirror = mirror
        self._manifests = manifests
        self._repair = repair

    @classmethod
    def from_settings(
        cls, settings: Settings, leases: Leases, errand: Errand, rest: Callable[[float], None]
    ) -> Self | None:
        """The verification, with repair, of the mirror that the settings describe, as a part of `errand`; None when
        there is none. For `rest` see `Reader`."""
        mirror = Mirror.from_settings(settings)
        if mirror is None:
            return None
        return cls(
            mirror,
            Manifests(Cache(settings.cache_path)),
            Reader(errand.check, rest),
            Repair.from_settings(settings, mirror, leases, errand),
        )

    def without_repair(self) -> Self:
        """The same verification, which only tells."""
        return type(self)(self._mirror, self._manifests, self.reader, None)

    def run(self, size: float) -> Iterator[Damage]:
        """Read contents until so many bytes were read, repair what is damaged, and yield all that is or was.

        Repairs come last: a slow host keeps nothing from being read. What was damaged before is read again at first, as
        far as half of the bytes go. When the errand is called off, it ends with what was found until then. Raises
        `UnderWay`.
        """
        with self._alone():
            found: dict[str, Examination] = {}
            try:
                self._read(size, found)
            except Cancelled:
                log.info("the verification was called off, the rest has its turn another time")
            for content in sorted(self._mirror.ledger.all(), key=lambda one: one.names):
                if content.damage:
                    outcome = self._outcome(content, found.get(content.sha256))
                    self._manifests.forget(content.sha256)  # again: until now the damaged bytes could still be read
                    yield Damage(content, outcome)

    def _read(self, size: float, found: dict[str, Examination]) -> None:
        damaged, others = self._turns()
        for limit, contents in ((size / 2, damaged), (size, others)):
            for content in contents:
                if self.reader.size >= limit:
                    break
                try:
                    examination = examine(content, self._mirror, self.reader)
                except Changed:  # somebody is at it just now, and its turn comes again
                    continue
                self.examined += 1
                if self._mirror.ledger.update(content.sha256, partial(self._noted, examination)).damage:
                    found[content.sha256] = examination
                    self._manifests.forget(content.sha256)

    def _outcome(self, content: Published, found: Examination | None) -> Outcome:
        if found is None:
            return Outcome(False, "It was not read again this time.")
        if self._repair is None:
            return Outcome(False, "Nothing was tried.")
        try:
            return self._repair.repair(content, found)
        except Cancelled:
            return Outcome(False, "There was no time for that.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._mirror.ledger.make()
        with (self._mirror.ledger.folder / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UnderWay from None
            yield

    def _turns(self) -> tuple[list[Published], list[Published]]:
        """All that is published: what is known to be damaged, and the rest, each in the order in which it is read.

        What has a name and no record yet comes first, and so does what a look at the store shows to be damaged. When a
        clock was wrong, what was read in the future counts as never read: else its turn might not come for years.
        """
        now = self._mirror.ledger.now()
        records = {record.sha256: record for record in self._mirror.ledger.all()}
        named = self._linked_names()
        sizes: dict[str, int] = {}
        for stored in self._mirror.store.contents():
            if status := status_of(stored):
                sizes[stored.name] = status.st_size
                if names := named.get((status.st_dev, status.st_ino)):
                    known = records.get(stored.name) or Published(stored.name)
                    records[stored.name] = known.with_names(*names)

        def turn(one: Published) -> tuple[bool, float]:
            return one.size == sizes.get(one.sha256), one.verified if one.verified <= now else 0.0

        turns = sorted(records.values(), key=turn)
        return [one for one in turns if one.damage], [one for one in turns if not one.damage]

    def _linked_names(self) -> dict[tuple[int, int], list[str]]:
        """The names of every file on the mirror that has several, by device and inode."""
        names: dict[tuple[int, int], list[str]] = {}
        for file in self._mirror.names():
            self.reader.check()
            status = status_of(file)
            if status and status.st_nlink > 1:
                names.setdefault((status.st_dev, status.st_ino), []).append(self._mirror.name_of(file))
        return names

    def _noted(self, found: Examination, record: Published) -> Published:
        """The record after an examination: names that are gone go, and those that came meanwhile stay."""
        seals = {name: Seal.of(self._mirror.path / name) for name in {*record.names, *found.names}}
        names = [name for name, seal in seals.items() if seal and seal != found.strangers.get(name)]
        digests = [copy.digest for copy in found.sound if copy.digest]
        known = record.with_digest(digests[0]) if digests else record
        return replace(known, names=tuple(sorted(names)), verified=self._mirror.ledger.now(), damage=found.damage)
