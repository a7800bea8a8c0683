"""Repairing a published content: its sound bytes, from wherever they can be had, take the place of the damaged ones.

The stored content is replaced first, and then the names that are on record, one by one and each in one step. Whoever
publishes does it the other way round: the name is recorded first, and then compared with what is stored. So of the two
one always sees what the other did, and no name keeps the damaged bytes.
"""

import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from knossosd.conversion.cache import Cache
from knossosd.conversion.digest import digest_file
from knossosd.conversion.download import Downloader
from knossosd.conversion.errand import Errand
from knossosd.conversion.examination import Examination, Seal
from knossosd.conversion.known import KnownLinks
from knossosd.conversion.leases import Leases
from knossosd.conversion.ledger import Published
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.store import Store, flush, relink
from knossosd.conversion.transfer import Wishes
from knossosd.conversion.workspace import workspace
from knossosd.faults import Code, Fault, InputFault
from knossosd.repo.contents import Digest
from knossosd.repo.names import examples
from knossosd.settings import Settings

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """Whether a content was repaired, and how, or why not."""

    is_repaired: bool
    how: str


class Repair:
    """Repairs contents of the `mirror`, with the `downloader` if need be, as a part of `errand`."""

    def __init__(self, mirror: Mirror, downloader: Downloader, work_path: Path, errand: Errand) -> None:
        self._mirror = mirror
        self._downloader = downloader
        self._work_path = work_path
        self._errand = errand

    @classmethod
    def from_settings(cls, settings: Settings, mirror: Mirror, leases: Leases, errand: Errand) -> Self:
        return cls(mirror, Downloader.from_settings(settings, leases), settings.work_path, errand)

    def repair(self, content: Published, found: Examination) -> Outcome:
        """Repair the `content`, which was `found` to be damaged."""
        try:
            with workspace(self._work_path) as folder:
                sound = folder / "content"
                self._condemn(content, found)
                digest, origin = self._obtain(content, found, sound)
                self._mirror.store.restore(sound, content.sha256)
                left = self._replace_names(digest, found, sound)
        except Fault as fault:
            return Outcome(False, fault.finding.message)
        except OSError as error:
            return Outcome(False, f"The disk failed: {error}.")
        if left:
            return Outcome(False, f"These names were changed meanwhile: {examples(left)}.")
        return Outcome(True, f"It came from {origin}.")

    def _condemn(self, content: Published, found: Examination) -> None:
        """Take a damaged content out of the store: nobody shall take it from there, and a conversion that happens to
        bring a sound one shall be able to leave it there."""
        place = self._mirror.store.place(content.sha256)
        if Seal.of(place) in {copy.seal for copy in found.copies if copy.trouble}:
            place.unlink(missing_ok=True)

    def _obtain(self, content: Published, found: Examination, into: Path) -> tuple[Digest, str]:
        """Let the new file `into` be the sound content; returns its digest and where it came from.

        Raises `InputFault` with every link's reason when it cannot be had.
        """
        for copy in found.sound:
            os.link(copy.paths[0], into)
            if copy.digest and Seal.of(into) == copy.seal:
                return copy.digest, str(copy.paths[0])
            into.unlink()
        reasons = []
        for url in content.urls:
            self._errand.check()
            try:
                return self._fetch(content, url, into), url
            except Fault as fault:
                into.unlink(missing_ok=True)
                reasons.append(fault.finding.message)
        raise InputFault(Code.DOWNLOAD_FAILED, " ".join(reasons) or "No link is known that leads to it.")

    def _fetch(self, content: Published, url: str, into: Path) -> Digest:
        """Fetch the content, and believe nothing but the bytes that are on the disk then. Raises `Fault`."""
        wishes = Wishes(
            expect_archive=False,
            advance=partial(_hold_to_size, content, url),
            errand=self._errand,
            log=lambda _, message: log.info("%s", message),
            ask=lambda _: None,
        )
        # What conversions know of the link does not matter, and is not disturbed by what it gives now.
        nothing_known = KnownLinks(Cache(into.with_name("cache")), Store(into.with_name("store")))
        self._downloader.fetch([url], into, wishes, nothing_known)
        digest = digest_file(into)
        if not content.is_of(digest):
            raise _other_file(url)
        return digest

    def _replace_names(self, digest: Digest, found: Examination, sound: Path) -> list[str]:
        """Let every name of the damaged content be a name of the file `sound`; returns those that were changed since
        it was found damaged."""
        mirror, known = self._mirror, {copy.seal for copy in found.copies}
        left: list[str] = []
        folders: set[Path] = set()

        def replaced(record: Published) -> Published:
            for name in record.names:
                file = mirror.path / name
                seal = Seal.of(file)
                if seal is None or mirror.store.shares(file, digest.sha256):
                    continue
                # A name that was published meanwhile is sound, but became a link of what was stored before.
                if seal in known or digest_file(file) == digest:
                    relink(sound, file)
                    folders.add(file.parent)
                else:
                    left.append(name)
            repaired = record.with_digest(digest)
            return repaired if left else replace(repaired, verified=mirror.ledger.now(), damage="")

        mirror.ledger.update(digest.sha256, replaced)
        for folder in folders:
            flush(folder)
        return left


def _hold_to_size(content: Published, url: str, size: int, total: int | None) -> None:
    """Do not fetch another file to its end."""
    if content.size is not None and (size > content.size or total not in (None, content.size)):
        raise _other_file(url)


def _other_file(url: str) -> InputFault:
    return InputFault(Code.CHECKSUM_CHANGED, f"{url}: The link leads to another file now.")
