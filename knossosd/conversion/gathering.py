"""Gathering what a document names: each file is fetched and read as soon as it is there, several at once.

What is wrong with one file is noted, and does not stop the others.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from knossosd.conversion.archive import Inspection, inspect
from knossosd.conversion.board import Track
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import Errand
from knossosd.conversion.fetch import Fetched, fetch, forget
from knossosd.conversion.manifests import read_once
from knossosd.conversion.notes import Notes
from knossosd.conversion.observer import Level, Measure, Observer, Stage
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.faults import Code, Fault, Finding, InputFault
from knossosd.repo.contents import Digest, FileKey, Member
from knossosd.repo.models import Mod, Package, PackageFile


@dataclass(frozen=True, slots=True)
class Entry:
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
class Gathered:
    """A file that was fetched and read. `path` is where it lies until it is published."""

    path: Path
    digest: Digest
    members: tuple[Member, ...]


class Gatherer:
    """Gathers the files of one conversion."""

    def __init__(self, toolbox: Toolbox, observer: Observer, errand: Errand, notes: Notes) -> None:
        self._toolbox = toolbox
        self._observer = observer
        self._errand = errand
        self._notes = notes

    def gather(self, entries: Sequence[Entry], folder: Path) -> dict[FileKey, Gathered]:
        """Fetch the files of all `entries` into the `folder`, and read them; those of which a fault was noted are left
        out. Raises `Cancelled`, and whatever is nobody's fault that is foreseen."""
        inspected: dict[FileKey, Future[Gathered | None]] = {}
        with (
            ThreadPoolExecutor(self._toolbox.files_at_once, "fetch") as fetchers,
            ThreadPoolExecutor(self._toolbox.archive_tools.cores.count, "inspect") as inspectors,
        ):
            fetched = {
                fetchers.submit(self._fetch, entry, folder / str(number)): entry for number, entry in enumerate(entries)
            }
            try:
                for future in as_completed(fetched):
                    entry = fetched[future]
                    inspected[entry.key] = inspectors.submit(self._inspect, entry, future.result())
                wait(inspected.values(), return_when=FIRST_EXCEPTION)
                results = {key: future.result() for key, future in inspected.items()}
            except BaseException:
                self._errand.call_off()
                fetchers.shutdown(cancel_futures=True)
                inspectors.shutdown(cancel_futures=True)
                raise
        return {key: result for key, result in results.items() if result}

    def _fetch(self, entry: Entry, folder: Path) -> Fetched | None:
        """Fetch one file. Its faults are noted, and None is returned."""
        wishes = Wishes(
            errand=self._errand,
            expect_archive=entry.file.is_archive,
            advance=entry.track.advance,
            log=self._observer.log,
            ask=self._observer.ask,
            measured=self._observer.measured,
        )
        with self._noting_faults(entry):
            self._errand.check()
            folder.mkdir()
            entry.track.begin(Stage.DOWNLOADING)
            fetched = fetch(entry.file, folder, self._toolbox, wishes)
            self._compare(entry, fetched.digest)
            return fetched
        return None

    def _inspect(self, entry: Entry, fetched: Fetched | None) -> Gathered | None:
        """Read one file that was fetched. Its faults are noted, and None is returned."""
        if fetched is None:
            return None
        with self._noting_faults(entry):
            self._errand.check()
            members = self._read(entry, fetched) if entry.file.is_archive else ()
            entry.track.end(Stage.DONE)
            return Gathered(fetched.path, fetched.digest, members)
        return None

    @contextmanager
    def _noting_faults(self, entry: Entry) -> Iterator[None]:
        """Note the faults of one file, and go on."""
        try:
            with telling_of_a_full_disk():
                yield
        except Fault as fault:
            self._errand.check()
            self._notes.fault(fault, entry.place(fault.finding))
            entry.track.end(Stage.FAILED)

    def _compare(self, entry: Entry, digest: Digest) -> None:
        expected = {entry.file.expected_md5, entry.file.expected_sha256} - {None}
        if not expected <= {digest.md5, digest.sha256}:
            changed = Finding(
                Code.CHECKSUM_CHANGED,
                f"{entry.file.filename} is not the file whose checksum stands in the document.",
                "The new checksum was taken. Check that the link leads to the right file.",
            )
            self._notes.warning(entry.place(changed))

    def _read(self, entry: Entry, fetched: Fetched) -> tuple[Member, ...]:
        """The files in an archive."""
        entry.track.begin(Stage.INSPECTING)
        name = entry.file.filename

        def somebody_is_at_it() -> None:
            self._observer.log(Level.INFO, f"{name} is being inspected already, waiting for that")

        def it_is_known() -> None:
            self._observer.log(Level.INFO, f"{name} was inspected before")
            self._observer.measured(Measure.MANIFEST_KNOWN, 1)

        inspection = read_once(
            fetched.digest,
            name,
            self._toolbox,
            lambda: self._inspect_archive(entry, fetched),
            busy=somebody_is_at_it,
            known=it_is_known,
            check=self._errand.check,
        )
        for warning in inspection.warnings:
            self._notes.warning(entry.place(warning))
        return inspection.members

    def _inspect_archive(self, entry: Entry, fetched: Fetched) -> Inspection:
        self._observer.log(Level.INFO, f"Inspecting {entry.file.filename}")
        self._observer.measured(Measure.MANIFEST_NEW, 1)
        began = time.monotonic()
        try:
            inspection = inspect(
                fetched.path,
                entry.file.filename,
                tools=self._toolbox.archive_tools,
                workspace=fetched.path.parent,
                advance=entry.track.advance,
                errand=self._errand,
            )
        except InputFault:  # nobody will have a use for it
            forget(fetched, self._toolbox)
            raise
        self._observer.measured(Measure.INSPECTING, time.monotonic() - began)
        self._observer.measured(Measure.INSPECTED, sum(member.digest.size for member in inspection.members))
        return inspection
