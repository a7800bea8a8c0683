"""One conversion, start to end: a repo document goes in, a generated repo document comes out.

    fetch     every archive, several at once: from a folder of ours, or downloaded from the first link that works
    inspect   each archive as soon as it is there: every file inside it with its checksums
    publish   all archives on the mirror in one go, or none: another conversion may rely on what it finds there
    describe  where every file lands, and the document that says so

What is wrong with one archive does not stop the others: a modder hears of all problems at once.
"""

import logging
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from knossosd.conversion.archive import inspect
from knossosd.conversion.board import Board, Track
from knossosd.conversion.digest import CHUNK, Digester
from knossosd.conversion.links import elsewhere, on_shelf, public_links
from knossosd.conversion.mirror import Publication
from knossosd.conversion.observer import Cancelled, Level, Observer, Stage
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.conversion.workspace import workspace
from knossosd.faults import Code, Fault, Finding, InputFault, ServerFault
from knossosd.repo.contents import Contents, Digest, FileKey, Member
from knossosd.repo.generated import describe_mod, generate
from knossosd.repo.models import Mod, Package, PackageFile, Repo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conversion:
    """The outcome. `document` is the generated repo document, None when there are `errors`."""

    document: dict[str, Any] | None
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def convert(repo: Repo, *, toolbox: Toolbox, observer: Observer) -> Conversion:
    """Convert `repo`, telling `observer` how it goes.

    Faults of the mod, of foreign hosts and of the mirror are returned as `errors`, not raised. Raises `Cancelled` when
    the observer calls it off. Whatever happens, nothing is left in the work folder, and the mirror keeps what this
    conversion published only when it succeeds.
    """
    return _Run(repo, toolbox, observer).convert()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the document's `files`, with its line on the board."""

    mod: Mod
    package: Package
    file: PackageFile
    track: Track

    @property
    def key(self) -> FileKey:
        return FileKey(self.mod.id, self.mod.version, self.package.name, self.file.filename)

    def place(self, finding: Finding) -> Finding:
        return finding.at(mod=self.mod.id, package=self.package.name, file=self.file.filename)


@dataclass(frozen=True, slots=True)
class _Inspected:
    """A file that was fetched and read. `path` is where it lies until it is published."""

    path: Path
    digest: Digest
    members: tuple[Member, ...]


class _Run:
    """The state of one conversion: what is noticed on the way, and whether it still goes on."""

    def __init__(self, repo: Repo, toolbox: Toolbox, observer: Observer) -> None:
        self.repo = repo
        self.toolbox = toolbox
        self.observer = observer
        self.started = time.time()
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self._stopped = Event()

    def convert(self) -> Conversion:
        board = Board(self.observer)
        entries = [
            _Entry(mod, package, file, board.track(mod.id, package.name, file.filename))
            for mod in self.repo.mods
            for package in mod.packages
            for file in package.files
        ]
        document = None
        with workspace(self.toolbox.work_path) as folder:
            inspected = self._inspect_all(entries, folder)
            if not self.errors:
                document = self._publish_and_describe(entries, inspected)
        return Conversion(None if self.errors else document, tuple(self.errors), tuple(self.warnings))

    def _inspect_all(self, entries: list[_Entry], folder: Path) -> dict[FileKey, _Inspected]:
        with ThreadPoolExecutor(self.toolbox.files_at_once, "archive") as pool:
            futures: dict[FileKey, Future[_Inspected | None]] = {
                entry.key: pool.submit(self._inspect, entry, folder / str(number))
                for number, entry in enumerate(entries)
            }
            try:
                wait(futures.values(), return_when=FIRST_EXCEPTION)
                results = {key: future.result() for key, future in futures.items()}
            except BaseException:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        return {key: result for key, result in results.items() if result}

    def _inspect(self, entry: _Entry, folder: Path) -> _Inspected | None:
        """Fetch and read one file. Its faults are noted, and None is returned."""
        try:
            self._check()
            folder.mkdir()
            path, digest = self._fetch(entry, folder)
            self._compare(entry, digest)
            members = self._read(entry, path, folder) if entry.file.is_archive else ()
        except Fault as fault:
            self._note_fault(fault, entry)
            entry.track.end(Stage.FAILED)
            return None
        if self.toolbox.mirror is None and path.is_relative_to(folder):
            path.unlink()
        entry.track.end(Stage.DONE)
        return _Inspected(path, digest, members)

    def _fetch(self, entry: _Entry, folder: Path) -> tuple[Path, Digest]:
        entry.track.begin(Stage.DOWNLOADING)
        own = on_shelf(entry.file.urls, self.toolbox.shelves)
        if own:
            self.observer.log(Level.INFO, f"Reading {entry.file.filename} from disk")
            return own, self._digest(own, entry.track)
        links = elsewhere(entry.file.urls, self.toolbox.shelves)
        if not links:
            raise InputFault(
                Code.LOCAL_FILE_MISSING,
                f"There is no file (any more) where the links of {entry.file.filename} lead on this server.",
                "Upload it again, or give a link to another host.",
            )
        self.observer.log(Level.INFO, f"Downloading {entry.file.filename}")
        path = folder / "archive"
        wishes = Wishes(
            expect_archive=entry.file.is_archive,
            advance=entry.track.advance,
            check=self._check,
            log=self.observer.log,
            ask=self.observer.ask,
        )
        download = self.toolbox.downloader.fetch(links, path, wishes)
        return path, download.digest

    def _digest(self, path: Path, track: Track) -> Digest:
        digester, total = Digester(), path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self._check()
                digester.update(chunk)
                track.advance(digester.size, total)
        return digester.digest()

    def _compare(self, entry: _Entry, digest: Digest) -> None:
        expected = {entry.file.expected_md5, entry.file.expected_sha256} - {None}
        if not expected <= {digest.md5, digest.sha256}:
            changed = Finding(
                Code.CHECKSUM_CHANGED,
                f"{entry.file.filename} is not the file whose checksum stands in the document.",
                "The new checksum was taken. Check that the link leads to the right file.",
            )
            self._note_warning(entry.place(changed))

    def _read(self, entry: _Entry, path: Path, folder: Path) -> tuple[Member, ...]:
        entry.track.begin(Stage.INSPECTING)
        self.observer.log(Level.INFO, f"Inspecting {entry.file.filename}")
        inspection = inspect(
            path,
            entry.file.filename,
            tools=self.toolbox.archive_tools,
            workspace=folder,
            advance=entry.track.advance,
            check=self._check,
        )
        for warning in inspection.warnings:
            self._note_warning(entry.place(warning))
        return inspection.members

    def _publish_and_describe(
        self, entries: list[_Entry], inspected: Mapping[FileKey, _Inspected]
    ) -> dict[str, Any] | None:
        mirror = self.toolbox.mirror
        with mirror.publication() if mirror else nullcontext() as publication:
            contents = {entry.key: self._publish(entry, inspected[entry.key], publication) for entry in entries}
            described = [self._describe(mod, contents) for mod in self.repo.mods]
            self._check()
            if self.errors:
                return None
            if publication:
                publication.keep()
            return generate(described, self.started)

    def _publish(self, entry: _Entry, found: _Inspected, publication: Publication | None) -> Contents:
        mirrored = None
        if publication:
            try:
                mirrored = publication.publish(
                    found.path, found.digest, mod=entry.mod.id, version=entry.mod.version, filename=entry.file.filename
                )
            except ServerFault as fault:
                self._note_fault(fault, entry)
        mirror_url = self.toolbox.mirror.url if self.toolbox.mirror else None
        links = public_links(entry.file.urls, mirror_url=mirror_url, mirrored=mirrored)
        if not links:
            self._note_warning(_no_link(entry))
        return Contents(found.digest, links, found.members)

    def _describe(self, mod: Mod, contents: Mapping[FileKey, Contents]) -> dict[str, Any]:
        try:
            description = describe_mod(mod, contents)
        except InputFault as fault:
            self._note_error(fault.finding.at(mod=mod.id))
            return {}
        for warning in description.warnings:
            self._note_warning(warning.at(mod=mod.id))
        return description.document

    def _note_fault(self, fault: Fault, entry: _Entry) -> None:
        if isinstance(fault, ServerFault):
            log.error("%s", fault, exc_info=fault)
        self._note_error(entry.place(fault.finding))

    def _note_error(self, error: Finding) -> None:
        self.errors.append(error)
        self.observer.log(Level.ERROR, str(error))

    def _note_warning(self, warning: Finding) -> None:
        self.warnings.append(warning)
        self.observer.log(Level.WARNING, str(warning))

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Cancelled
        self.observer.check()


def _no_link(entry: _Entry) -> Finding:
    return entry.place(
        Finding(
            Code.LINK_LEFT_OUT,
            f"No link is left from which players could download {entry.file.filename}.",
            "Links to download pages and to this machine's files are left out. Give a link to the file itself.",
        )
    )
