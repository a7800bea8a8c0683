"""The mirror: a folder with a public URL, in which every published name keeps its content for ever.

An archive is published as `<mod id>/<mod version>/<file name>`. Documents that were generated before point at these
names with checksums, so a name is never given other content: another archive of the same name gets a number in front
of it, as the original server did. The names are hard links to the content store, which has every content once.
"""

import fcntl
import logging
import os
import time
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote, unquote, urlsplit

from knossosd.conversion.digest import digest_chunks, read_chunks
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import TICK, Check, checked
from knossosd.conversion.ledger import Ledger, Published
from knossosd.conversion.store import Store, flush, relink
from knossosd.faults import Code, ServerFault
from knossosd.repo.contents import Digest
from knossosd.settings import Settings

log = logging.getLogger(__name__)

LOCKS = 64
"""Files by which publishers keep out of each other's way. Mods share them, so that there are never more."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """The folder `path` and the public URL of it, without a slash at its end; `store` has the contents, and `ledger`
    what is known of them."""

    path: Path
    url: str
    store: Store
    ledger: Ledger

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The mirror that the settings describe, None when there is none."""
        if settings.mirror_path is None or settings.mirror_url is None:
            return None
        return cls(settings.mirror_path, settings.mirror_url, Store(settings.store_path), Ledger(settings.ledger_path))

    def owns(self, link: str) -> bool:
        """Whether `link` is below the mirror's URL."""
        return link.startswith(self.url + "/")

    def find(self, link: str) -> Path | None:
        """The file in the mirror that `link` names; None when the link leads elsewhere or names no file in it."""
        if not self.owns(link):
            return None
        root = self.path.resolve()
        named = (root / unquote(urlsplit(link[len(self.url) + 1 :]).path)).resolve()
        return named if named.is_relative_to(root) and named.is_file() else None

    def names(self) -> Iterator[Path]:
        """All files with a public name. What begins with a dot has none."""
        for folder, folders, files in os.walk(self.path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (Path(folder, name) for name in files if not name.startswith("."))

    def name_of(self, file: Path) -> str:
        """How the ledger calls the file."""
        return file.relative_to(self.path).as_posix()

    @contextmanager
    def alone(self, mods: Collection[str], check: Check = lambda: None) -> Iterator[None]:
        """See to it that nobody else, on any host, publishes versions of the `mods` (ids) as long as the block runs.

        `check` is asked while somebody does. Raises `ServerFault` when the mirror cannot take the lock.
        """
        with ExitStack() as held:
            try:
                with telling_of_a_full_disk():
                    self.ledger.make()
                    for name in sorted({_lock_of(mod) for mod in mods}):  # nobody waits for who waits for him
                        _wait_for(held.enter_context((self.ledger.folder / name).open("a")), check)
            except OSError as error:
                raise _failure(", ".join(mods), error) from error
            yield

    def publication(self, check: Check = lambda: None) -> "Publication":
        """Publish several archives together, as a context manager that withdraws them unless they are kept."""
        return Publication(self, check)


@dataclass(slots=True)
class Publication:
    """The archives that one conversion publishes: all of them, when `keep` is called in the end, or none. `size` is how
    many bytes have got a name that they had not before."""

    mirror: Mirror
    check: Check
    size: int = 0
    _published: list[tuple[Path, str]] = field(default_factory=list)
    _folders: list[Path] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for target, sha256 in self._published:
            self._withdraw(target, sha256)
        for folder in reversed(self._folders):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def keep(self) -> None:
        """Everything that was published stays."""
        self._published.clear()
        self._folders.clear()

    def publish(
        self, archive: Path, digest: Digest, *, mod: str, version: str, filename: str, urls: Sequence[str] = ()
    ) -> str:
        """Give the file `archive`, whose content has the `digest`, its public name; returns its public link.

        The file lies on the mirror's file system, and may be removed afterwards; `urls` are where it can be fetched
        again. Raises `ServerFault` when the mirror cannot take it.
        """
        try:
            with telling_of_a_full_disk():
                self.mirror.store.keep(archive, digest, self.check)
                folder = self._make_folder(PurePosixPath(mod) / version)
                target = self._name(archive, digest, folder / PurePosixPath(filename).name)
                self._record(target, digest, urls)
                # It was published by other means, or the stored content was replaced by a sound one since we took it.
                # The latter makes a link anew for every name on record, and this one may have been too late for that.
                while not self.mirror.store.shares(target, digest.sha256):
                    self.mirror.store.keep(archive, digest, self.check)
                    relink(archive, target)
                flush(folder)
                return "/".join((self.mirror.url, quote(mod), quote(version), quote(target.name)))
        except OSError as error:
            raise _failure(filename, error) from error

    def _make_folder(self, relative: PurePosixPath) -> Path:
        folder = self.mirror.path
        folder.mkdir(parents=True, exist_ok=True)
        for part in relative.parts:
            folder = folder / part
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            self._folders.append(folder)
        return folder

    def _name(self, archive: Path, digest: Digest, wanted: Path) -> Path:
        """The name under which the content is published: the `wanted` one, unless it has other content."""
        target = wanted
        for number in count(1):
            if self._place(archive, digest, target) or self._has_same_content(target, archive, digest):
                break
            target = wanted.with_name(f"{number}_{wanted.name}")
        return target

    def _place(self, archive: Path, digest: Digest, target: Path) -> bool:
        """Make `target` a name of the content in one step; False when the name is taken."""
        try:
            os.link(archive, target)
        except FileExistsError:
            return False
        self._published.append((target, digest.sha256))
        self.size += digest.size
        return True

    def _record(self, target: Path, digest: Digest, urls: Sequence[str]) -> None:
        def noted(record: Published) -> Published:
            known = record.with_digest(digest).with_names(self.mirror.name_of(target)).with_urls(*urls)
            # What is new has just been digested.
            return replace(known, verified=record.verified or self.mirror.ledger.now())

        self.mirror.ledger.update(digest.sha256, noted)

    def _withdraw(self, target: Path, sha256: str) -> None:
        def withdrawn(record: Published) -> Published:
            target.unlink(missing_ok=True)
            return record.without_names(self.mirror.name_of(target))

        try:
            self.mirror.ledger.update(sha256, withdrawn)
        except OSError:  # the record has a name too many, which nobody minds
            log.warning("%s was withdrawn, but its record could not be written", target, exc_info=True)
            target.unlink(missing_ok=True)

    def _has_same_content(self, target: Path, archive: Path, digest: Digest) -> bool:
        if target.samefile(archive):
            return True
        found = checked(read_chunks(target), self.check)
        return target.stat().st_size == digest.size and digest_chunks(found) == digest


def _lock_of(mod: str) -> str:
    return f".publishing-{zlib.crc32(mod.encode()) % LOCKS}"


def _wait_for(lock: IO[str], check: Check) -> None:
    """Take the lock, which is held until the file is closed."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            check()
            time.sleep(TICK)
        else:
            return


def _failure(what: str, error: OSError) -> ServerFault:
    return ServerFault(
        Code.MIRROR_FAILED,
        f"The mirror could not take {what}: {error.strerror or error}.",
        "This is not your mod's fault. The operator has to look at the mirror's disk.",
    )
