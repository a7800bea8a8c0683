"""What an upload holds, for whoever drafts a document from it, before anybody converts it.

It is read just as a conversion reads it, and that is remembered, so its conversion need not read it again. Like
everything in the cache a preview is an aid: one that gets lost is made again when somebody asks.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from knossosd.conversion.archive import Inspection, inspect
from knossosd.conversion.cache import Cache, Record
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import Errand
from knossosd.conversion.fetch import fetch
from knossosd.conversion.manifests import read_once
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.conversion.uploads import Uploads
from knossosd.conversion.workspace import workspace
from knossosd.faults import Fault, InputFault
from knossosd.repo.models import PackageFile
from knossosd.repo.outline import outline
from knossosd.settings import Settings

log = logging.getLogger(__name__)

KIND = "previews"


@dataclass(frozen=True, slots=True)
class Previews:
    """The previews of the `uploads`.

    A preview is the `Outline` of an upload as JSON, with `warnings` about it; or `error`, which says why there is none.
    """

    cache: Cache
    uploads: Uploads

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The previews that the settings describe, None when there are no uploads."""
        uploads = Uploads.from_settings(settings)
        return cls(Cache(settings.cache_path), uploads) if uploads else None

    def find(self, sha256: str) -> Record | None:
        """The preview of an upload, None when there is none yet."""
        return self.cache.recall(KIND, sha256, lambda record: record)

    def forget(self, sha256: str) -> None:
        """Remember no preview: the next one may be better."""
        self.cache.forget(KIND, sha256)

    def make(self, sha256: str, filename: str, toolbox: Toolbox) -> None:
        """Read the upload, which a document would call `filename`, unless that was done since somebody asked. It ends
        within a second when this thread is interrupted, and leaves nothing behind but the preview."""
        if self.find(sha256) is not None:
            return
        with ThreadPoolExecutor(1, "preview") as thread, Errand().limited(toolbox.timeout, Cancelled) as errand:
            thread.submit(self._make, sha256, filename, toolbox, errand).result()

    def _make(self, sha256: str, filename: str, toolbox: Toolbox, errand: Errand) -> None:
        try:
            with telling_of_a_full_disk(), workspace(toolbox.work_path) as folder:
                preview = self._read(sha256, filename, toolbox, folder, errand)
        except Fault as fault:
            if not isinstance(fault, InputFault):
                log.error("no preview of the upload %s: %s", sha256, fault)
            preview = {"error": fault.finding.as_json()}
        except Cancelled:
            log.warning("no preview of the upload %s: it was called off, or took too long", sha256)
            return
        self.cache.remember(KIND, sha256, preview)

    def _read(self, sha256: str, filename: str, toolbox: Toolbox, folder: Path, errand: Errand) -> Record:
        file = PackageFile(filename, (self.uploads.link(sha256),), True, "", None, None)
        wishes = Wishes(
            errand=errand,
            expect_archive=True,
            advance=lambda *_: None,
            log=lambda *_: None,
            ask=lambda _: None,
        )
        fetched = fetch(file, folder, toolbox, wishes)

        def read() -> Inspection:
            return inspect(
                fetched.path,
                filename,
                tools=toolbox.archive_tools,
                workspace=folder,
                advance=lambda *_: None,
                errand=errand,
            )

        inspection = read_once(
            fetched.digest, filename, toolbox, read, busy=lambda: None, known=lambda: None, check=errand.check
        )
        warnings = [warning.as_json() for warning in inspection.warnings]
        return {**asdict(outline(inspection.members)), "warnings": warnings}
