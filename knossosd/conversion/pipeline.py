"""One conversion, start to end: a repo document goes in, a generated repo document comes out.

    fetch     every archive, several at once: from a folder of ours, or downloaded from the first link that works
    inspect   each archive as soon as it is there: every file inside it with its checksums
    publish   all archives on the mirror in one go, or none: another conversion may rely on what it finds there
    describe  where every file lands, and the document that says so

What is wrong with one archive does not stop the others: a modder hears of all problems at once. All of it happens in
threads that can be stopped; the caller's own only waits, and asks whether to go on.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knossosd.conversion.archive import Inspection, inspect
from knossosd.conversion.board import Board, Track
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import TICK, Errand
from knossosd.conversion.fetch import Fetched, fetch, forget
from knossosd.conversion.links import elsewhere, public_links
from knossosd.conversion.manifests import read_once
from knossosd.conversion.mirror import Publication
from knossosd.conversion.observer import Cancelled, Level, Measure, Observer, Stage
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.conversion.workspace import workspace
from knossosd.faults import Code, Fault, Finding, InputFault, ServerFault, time_in_words
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

    Faults of the mod, of foreign hosts and of this machine's disks are returned as `errors`, not raised. It ends within
    a second when the observer calls it off, which raises `Cancelled` unless it was too late, and when this thread is
    interrupted. Whatever happens, nothing is left in the work folder, and the mirror keeps what this conversion
    published only when it succeeds.
    """
    with converting(repo, toolbox=toolbox, observer=observer) as outcome:
        return outcome


@contextmanager
def converting(repo: Repo, *, toolbox: Toolbox, observer: Observer) -> Iterator[Conversion]:
    """Convert `repo` as `convert` does, for a block that records the outcome.

    When the block raises `Cancelled`, because the outcome came too late, the mirror keeps nothing of it. Whatever else
    it raises, nobody knows whether the outcome was recorded, so what was published stays.
    """
    with ExitStack() as published:
        with ThreadPoolExecutor(1, "conversion") as thread, Errand().limited(toolbox.timeout, _TooSlow) as errand:
            run = _Run(repo, toolbox, observer, errand, published)
            running = thread.submit(run.convert)
            with suppress(Cancelled):  # which the run raises as well, once it has tidied up
                while wait([running], TICK).not_done:
                    observer.check()
        outcome = running.result()
        is_wanted = outcome.document is not None
        try:
            yield outcome
        except Cancelled:
            is_wanted = False
            raise
        finally:
            if is_wanted and run.publication:
                run.publication.keep()


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


class _TooSlow(Cancelled):
    """The conversion was called off because it took too long."""


class _Run:
    """The state of one conversion: what is noticed on the way.

    When it succeeds, its `publication` stays open until `published` is closed.
    """

    def __init__(self, repo: Repo, toolbox: Toolbox, observer: Observer, errand: Errand, published: ExitStack) -> None:
        self.repo = repo
        self.toolbox = toolbox
        self.observer = observer
        self.errand = errand
        self.published = published
        self.publication: Publication | None = None
        self.started = time.time()
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def convert(self) -> Conversion:
        document = None
        try:
            with telling_of_a_full_disk():
                document = self._convert()
        except _TooSlow:
            self.errors.clear()
            self._note_error(_too_slow(self.toolbox.timeout))
        except ServerFault as fault:
            log.error("%s", fault, exc_info=fault)
            self._note_error(fault.finding)
        return Conversion(None if self.errors else document, tuple(self.errors), tuple(self.warnings))

    def _convert(self) -> dict[str, Any] | None:
        board = Board(self.observer)
        entries = [
            _Entry(mod, package, file, board.track(mod.id, package.name, file.filename))
            for mod in self.repo.mods
            for package in mod.packages
            for file in package.files
        ]
        board.opened()
        with workspace(self.toolbox.work_path) as folder:
            inspected = self._inspect_all(entries, folder)
            return None if self.errors else self._publish_and_describe(entries, inspected)

    def _inspect_all(self, entries: list[_Entry], folder: Path) -> dict[FileKey, _Inspected]:
        """Fetch and read all files: downloads run beside the reading of what has arrived."""
        inspected: dict[FileKey, Future[_Inspected | None]] = {}
        with (
            ThreadPoolExecutor(self.toolbox.files_at_once, "fetch") as fetchers,
            ThreadPoolExecutor(self.toolbox.archive_tools.cores.count, "inspect") as inspectors,
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
                self.errand.call_off()
                fetchers.shutdown(cancel_futures=True)
                inspectors.shutdown(cancel_futures=True)
                raise
        return {key: result for key, result in results.items() if result}

    def _fetch(self, entry: _Entry, folder: Path) -> Fetched | None:
        """Fetch one file. Its faults are noted, and None is returned."""
        wishes = Wishes(
            errand=self.errand,
            expect_archive=entry.file.is_archive,
            advance=entry.track.advance,
            log=self.observer.log,
            ask=self.observer.ask,
            measured=self.observer.measured,
        )
        with self._noting_faults(entry):
            self.errand.check()
            folder.mkdir()
            entry.track.begin(Stage.DOWNLOADING)
            fetched = fetch(entry.file, folder, self.toolbox, wishes)
            self._compare(entry, fetched.digest)
            return fetched
        return None

    def _inspect(self, entry: _Entry, fetched: Fetched | None) -> _Inspected | None:
        """Read one file that was fetched. Its faults are noted, and None is returned."""
        if fetched is None:
            return None
        with self._noting_faults(entry):
            self.errand.check()
            members = self._read(entry, fetched) if entry.file.is_archive else ()
            entry.track.end(Stage.DONE)
            return _Inspected(fetched.path, fetched.digest, members)
        return None

    @contextmanager
    def _noting_faults(self, entry: _Entry) -> Iterator[None]:
        """Note the faults of one file, and go on."""
        try:
            with telling_of_a_full_disk():
                yield
        except Fault as fault:
            self.errand.check()
            self._note_fault(fault, entry)
            entry.track.end(Stage.FAILED)

    def _compare(self, entry: _Entry, digest: Digest) -> None:
        expected = {entry.file.expected_md5, entry.file.expected_sha256} - {None}
        if not expected <= {digest.md5, digest.sha256}:
            changed = Finding(
                Code.CHECKSUM_CHANGED,
                f"{entry.file.filename} is not the file whose checksum stands in the document.",
                "The new checksum was taken. Check that the link leads to the right file.",
            )
            self._note_warning(entry.place(changed))

    def _read(self, entry: _Entry, fetched: Fetched) -> tuple[Member, ...]:
        """The files in an archive."""
        entry.track.begin(Stage.INSPECTING)
        name = entry.file.filename

        def somebody_is_at_it() -> None:
            self.observer.log(Level.INFO, f"{name} is being inspected already, waiting for that")

        def it_is_known() -> None:
            self.observer.log(Level.INFO, f"{name} was inspected before")
            self.observer.measured(Measure.MANIFEST_KNOWN, 1)

        inspection = read_once(
            fetched.digest,
            name,
            self.toolbox,
            lambda: self._inspect_archive(entry, fetched),
            busy=somebody_is_at_it,
            known=it_is_known,
            check=self.errand.check,
        )
        for warning in inspection.warnings:
            self._note_warning(entry.place(warning))
        return inspection.members

    def _inspect_archive(self, entry: _Entry, fetched: Fetched) -> Inspection:
        self.observer.log(Level.INFO, f"Inspecting {entry.file.filename}")
        self.observer.measured(Measure.MANIFEST_NEW, 1)
        began = time.monotonic()
        try:
            inspection = inspect(
                fetched.path,
                entry.file.filename,
                tools=self.toolbox.archive_tools,
                workspace=fetched.path.parent,
                advance=entry.track.advance,
                errand=self.errand,
            )
        except InputFault:  # nobody will have a use for it
            forget(fetched, self.toolbox)
            raise
        self.observer.measured(Measure.INSPECTING, time.monotonic() - began)
        self.observer.measured(Measure.INSPECTED, sum(member.digest.size for member in inspection.members))
        return inspection

    def _publish_and_describe(
        self, entries: list[_Entry], inspected: Mapping[FileKey, _Inspected]
    ) -> dict[str, Any] | None:
        began = time.monotonic()
        with ExitStack() as in_case_it_fails:
            publication = in_case_it_fails.enter_context(self._publishing())
            contents = {entry.key: self._publish(entry, inspected[entry.key], publication) for entry in entries}
            described = [self._describe(mod, contents) for mod in self.repo.mods]
            if self.errors:
                return None
            self.observer.check()
            self.errand.check()
            if publication:
                self.observer.measured(Measure.PUBLISHING, time.monotonic() - began)
                self.observer.measured(Measure.MIRRORED, publication.size)
            self.publication = publication
            self.published.push(in_case_it_fails.pop_all())
            return generate(described, self.started)

    @contextmanager
    def _publishing(self) -> Iterator[Publication | None]:
        """What archives are published with, None without a mirror. Nobody else publishes versions of these mods
        meanwhile: what fails is withdrawn with its folders, and another conversion could have found them just before.
        """
        mirror = self.toolbox.mirror
        if mirror is None:
            yield None
            return
        mods = [mod.id for mod in self.repo.mods]
        with mirror.alone(mods, self.errand.check), mirror.publication(self.errand.check) as publication:
            yield publication

    def _publish(self, entry: _Entry, found: _Inspected, publication: Publication | None) -> Contents:
        self.errand.check()
        mirrored = None
        if publication:
            entry.track.begin(Stage.MIRRORING)
            try:
                mirrored = publication.publish(
                    found.path,
                    found.digest,
                    mod=entry.mod.id,
                    version=entry.mod.version,
                    filename=entry.file.filename,
                    urls=elsewhere(entry.file.urls, self.toolbox.shelves),
                )
                entry.track.rest()
            except ServerFault as fault:
                self._note_fault(fault, entry)
                entry.track.end(Stage.FAILED)
        mirror_url = self.toolbox.mirror.url if self.toolbox.mirror else None
        links = public_links(entry.file.urls, mirror_url=mirror_url, mirrored=mirrored)
        if not links:
            self._note_warning(_no_link(entry))
        return Contents(found.digest, links, found.members)

    def _describe(self, mod: Mod, contents: Mapping[FileKey, Contents]) -> dict[str, Any]:
        try:
            # With very many files that takes seconds, and knows nothing of errands.
            description = self.errand.apart(lambda: describe_mod(mod, contents))
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


def _too_slow(limit: float) -> Finding:
    return Finding(
        Code.CONVERSION_TOO_SLOW,
        f"The whole conversion took longer than {time_in_words(limit)}.",
        "Split the document, and use faster hosts.",
    )


def _no_link(entry: _Entry) -> Finding:
    return entry.place(
        Finding(
            Code.LINK_LEFT_OUT,
            f"No link is left from which players could download {entry.file.filename}.",
            "Links to download pages and to this machine's files are left out. Give a link to the file itself.",
        )
    )
