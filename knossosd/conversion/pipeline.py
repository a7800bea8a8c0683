"""One conversion, start to end: a repo document goes in, a generated repo document comes out.

    fetch     every archive, several at once: from a folder of ours, or downloaded from the first link that works
    inspect   each archive as soon as it is there: every file inside it with its checksums
    publish   all archives on the mirror in one go, or none: another conversion may rely on what it finds there
    describe  where every file lands, and the document that says so

What is wrong with one archive does not stop the others: a modder hears of all problems at once. All of it happens in
threads that can be stopped; the caller's own only waits, and asks whether to go on.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from knossosd.conversion.board import Board
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import TICK, Errand
from knossosd.conversion.gathering import Entry, Gathered, Gatherer
from knossosd.conversion.links import elsewhere, public_links
from knossosd.conversion.mirror import Publication
from knossosd.conversion.notes import Notes
from knossosd.conversion.observer import Cancelled, Measure, Observer, Stage
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.workspace import workspace
from knossosd.faults import Code, Finding, InputFault, ServerFault, time_in_words
from knossosd.repo.contents import Contents, FileKey
from knossosd.repo.generated import describe_mod, generate
from knossosd.repo.models import Mod, Repo


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
        self.notes = Notes(observer)

    def convert(self) -> Conversion:
        document = None
        try:
            with telling_of_a_full_disk():
                document = self._convert()
        except _TooSlow:
            self.notes.errors.clear()
            self.notes.error(_too_slow(self.toolbox.timeout))
        except ServerFault as fault:
            self.notes.fault(fault, fault.finding)
        return Conversion(None if self.notes.errors else document, tuple(self.notes.errors), tuple(self.notes.warnings))

    def _convert(self) -> dict[str, Any] | None:
        board = Board(self.observer)
        gatherer = Gatherer(self.toolbox, self.observer, self.errand, self.notes)
        entries = [
            Entry(mod, package, file, board.track(mod.id, package.name, file.filename))
            for mod in self.repo.mods
            for package in mod.packages
            for file in package.files
        ]
        board.opened()
        with workspace(self.toolbox.work_path) as folder:
            gathered = gatherer.gather(entries, folder)
            return None if self.notes.errors else self._publish_and_describe(entries, gathered)

    def _publish_and_describe(
        self, entries: list[Entry], gathered: Mapping[FileKey, Gathered]
    ) -> dict[str, Any] | None:
        began = time.monotonic()
        with ExitStack() as in_case_it_fails:
            publication = in_case_it_fails.enter_context(self._publishing())
            contents = {entry.key: self._publish(entry, gathered[entry.key], publication) for entry in entries}
            described = [self._describe(mod, contents) for mod in self.repo.mods]
            if self.notes.errors:
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

    def _publish(self, entry: Entry, found: Gathered, publication: Publication | None) -> Contents:
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
                self.notes.fault(fault, entry.place(fault.finding))
                entry.track.end(Stage.FAILED)
        mirror_url = self.toolbox.mirror.url if self.toolbox.mirror else None
        links = public_links(entry.file.urls, mirror_url=mirror_url, mirrored=mirrored)
        if not links:
            self.notes.warning(_no_link(entry))
        return Contents(found.digest, links, found.members)

    def _describe(self, mod: Mod, contents: Mapping[FileKey, Contents]) -> dict[str, Any]:
        try:
            # With very many files that takes seconds, and knows nothing of errands.
            description = self.errand.apart(lambda: describe_mod(mod, contents))
        except InputFault as fault:
            self.notes.error(fault.finding.at(mod=mod.id))
            return {}
        for warning in description.warnings:
            self.notes.warning(warning.at(mod=mod.id))
        return description.document


def _too_slow(limit: float) -> Finding:
    return Finding(
        Code.CONVERSION_TOO_SLOW,
        f"The whole conversion took longer than {time_in_words(limit)}.",
        "Split the document, and use faster hosts.",
    )


def _no_link(entry: Entry) -> Finding:
    return entry.place(
        Finding(
            Code.LINK_LEFT_OUT,
            f"No link is left from which players could download {entry.file.filename}.",
            "Links to download pages and to this machine's files are left out. Give a link to the file itself.",
        )
    )
