"""Finishing uploads that came in parts: reading what is there, and giving it its public name.

Every step may be taken twice: whoever is killed leaves the upload FINISHING, and the next one begins anew.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import redis

from knossosd.conversion.disk import FULL, disk_full
from knossosd.conversion.errand import Check
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.parts import Examined, Gone, InUse, PartFiles, examine
from knossosd.conversion.uploads import Uploads
from knossosd.faults import Code, Finding
from knossosd.repo.names import examples
from knossosd.settings import Settings
from knossosd.tickets.chunked import Chunked, ChunkedState, ChunkedUploads
from knossosd.tickets.quota import UploadQuota

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two words on how far it is."""

AGAIN = "Send the missing parts again, and finish once more."
ANEW = "Upload it again."
LATER = "Nothing of it is lost: finish once more, later."


@dataclass(frozen=True, slots=True)
class Finisher:
    """Whoever finishes `chunked` uploads, whose bytes are in `files`, and lets them be among the `uploads`."""

    chunked: ChunkedUploads
    files: PartFiles
    uploads: Uploads
    quota: UploadQuota
    check: Check

    @classmethod
    def from_settings(
        cls, settings: Settings, chunked: ChunkedUploads, quota: UploadQuota, check: Check
    ) -> Self | None:
        """The one of an installation; None when that takes no uploads. `check` raises when it has to stop."""
        uploads = Uploads.from_settings(settings)
        return cls(chunked, PartFiles.from_settings(settings), uploads, quota, check) if uploads else None

    def run(self) -> None:
        """Finish all that wait for it, one after the other, except those that somebody else is at."""
        seen: set[str] = set()
        while waiting := [upload for upload in self.chunked.finishing() if upload not in seen]:
            seen.add(waiting[0])
            try:
                self.finish(waiting[0])
            except redis.RedisError:
                raise
            except OSError as error:  # it waits until the disk is back
                log.error("the upload %s cannot be finished now: %s", waiting[0], error)
            except Exception:  # the border of one upload: the next one is not to blame
                log.exception("the upload %s cannot be finished", waiting[0])

    def finish(self, name: str) -> None:
        """Finish one, unless somebody else is at it, or it was given up."""
        upload = self.chunked.get(name)
        if upload is None or upload.state is not ChunkedState.FINISHING:
            self.chunked.end_wait(name)
            return
        try:
            with self.files.sealed(name) as file:
                try:
                    self._conclude(upload, file, self._examined(upload, file))
                except OSError as error:
                    self._put_off(upload, error)
        except Gone:
            self.chunked.failed(name, Finding(Code.INTERNAL, "What was sent is not there any more.", ANEW))
        except (InUse, Cancelled):  # who has it will see to it, or who comes when this process has ended
            return

    def _examined(self, upload: Chunked, file: Path) -> Examined:
        sent, tell = self.chunked.sent(upload), self._teller(upload)
        return examine(file, upload.parts, upload.part_size, sent, advance=tell, check=self.check)

    def _conclude(self, upload: Chunked, file: Path, examined: Examined) -> None:
        """Publish what was read, if it is what was sent."""
        if examined.damaged:
            parts = examples([str(number) for number in examined.damaged])
            error = Finding(Code.UPLOAD_DAMAGED, f"Some parts are not what was sent: {parts}.", AGAIN)
            self.files.reopen(upload.id)
            self.chunked.reopen(upload.id, examined.damaged, error)
            return
        digest = examined.digest
        if upload.sha256 not in ("", digest.sha256):
            message = f"What came has the sha256 {digest.sha256}, and {upload.sha256} was announced."
            self.chunked.failed(upload.id, Finding(Code.UPLOAD_DAMAGED, message, ANEW))
            self.quota.give_back(upload.owner, upload.id)
        else:
            url = self.uploads.publish(file, digest, self.check)
            self.chunked.done(upload.id, url, digest.sha256)
            log.info("the upload %s is finished: %d bytes, %s", upload.id, digest.size, digest.sha256)
        self.files.discard(upload.id)

    def _put_off(self, upload: Chunked, error: OSError) -> None:
        """Nothing is lost when the disk fails: its submitter may have it finished later.

        The file stays sealed, as the store may have a link of it already.
        """
        full = disk_full().finding
        finding = full if error.errno in FULL else Finding(Code.INTERNAL, "The server's disk failed.", LATER)
        if self.chunked.reopen(upload.id, [], finding):  # it was not given up meanwhile
            log.error("the upload %s cannot be finished: %s", upload.id, error)

    def _teller(self, upload: Chunked) -> Callable[[int], None]:
        """Tells how far it is, not more often than anybody looks."""
        told = time.monotonic()

        def tell(done: int) -> None:
            nonlocal told
            if time.monotonic() - told > INTERVAL:
                told = time.monotonic()
                self.chunked.show(upload, done / upload.size)

        return tell
