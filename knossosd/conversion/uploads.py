"""Uploads: their public names, and how those that no mod published go again.

How many links a file has tells who uses it: an upload has one, the store another, and every name that a mod published,
and every conversion that runs just now, has one more. Who will use it, stands in the documents that are still to be
converted.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from time import time
from typing import Self

from knossosd.conversion.disposable import Disposable, clock_of, status_of
from knossosd.conversion.errand import Check
from knossosd.conversion.store import Store, flush, relink
from knossosd.repo.contents import Digest
from knossosd.settings import Settings

NAME = re.compile(r"[0-9a-f]{64}")
"""What an upload is called: its sha256. Whatever else lies in the folder is not ours."""

NAMED = re.compile(rf"(?<![0-9a-f]){NAME.pattern}(?![0-9a-f])")

Documents = Callable[[], Iterable[str]]
"""Gives the documents that are still to be converted, as text."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads in `folder`, whose public link is `url`. One that no mod published is kept for `lifetime` seconds
    after its last use.

    `work_path` is on the same file system.
    """

    folder: Path
    url: str
    store: Store
    work_path: Path
    lifetime: float
    clock: Callable[[], float] = time

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The uploads that the settings describe, None when there are none."""
        if settings.mirror_path is None or settings.upload_path is None:
            return None
        folder = settings.mirror_path / settings.upload_path
        url = f"{settings.mirror_url}/{settings.upload_path}"
        work_path, lifetime = settings.work_path, settings.upload_lifetime
        return cls(folder, url, Store(settings.store_path), work_path, lifetime, clock_of(work_path))

    def publish(self, file: Path, digest: Digest, check: Check = lambda: None) -> str:
        """Give the content of `file`, which has the `digest`, its public name; returns its link.

        The file stays, as one more name of that content. Raises what `check` raises, and `OSError`.
        """
        self.store.keep(file, digest, check)
        self.folder.mkdir(parents=True, exist_ok=True)
        relink(file, self.folder / digest.sha256)
        flush(self.folder)
        return self.link(digest.sha256)

    def has(self, sha256: str) -> bool:
        """Whether there is an upload of this checksum."""
        return bool(NAME.fullmatch(sha256)) and (self.folder / sha256).is_file()

    def link(self, sha256: str) -> str:
        """The public link of the upload with this checksum."""
        return f"{self.url}/{sha256}"

    def superfluous(self, documents: Documents) -> list[Disposable]:
        """The uploads that are too old, and that no mod published, no conversion holds and none of the `documents`
        names."""
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        paths = [path for path in sorted(files) if NAME.fullmatch(path.name)]
        now = self.clock() if paths else 0.0
        old = [
            Disposable(path, status.st_size, status.st_ctime)
            for path in paths
            # Every link that comes or goes changes st_ctime: it is when the upload was last of use.
            if (status := status_of(path)) and now - status.st_ctime > self.lifetime and self._is_alone(path, path.name)
        ]
        named = _named(documents) if old else set()
        return [upload for upload in old if upload.path.name not in named]

    def trim(self, documents: Documents) -> list[Disposable]:
        """Remove what is superfluous, from the store as well; returns what went.

        Somebody may take a link of an upload at this very moment, or submit a document that names it. So the names go
        first, then it is counted and looked once more, and what is of use comes back. Of several who try, one finds
        the name.
        """
        aside = {upload: taken for upload in self.superfluous(documents) if (taken := self._take(upload.path))}
        gone = []
        try:
            named = _named(documents) if aside else set()
            for upload, taken in aside.items():
                if upload.path.name not in named and self._is_alone(taken, upload.path.name):
                    self.store.discard(upload.path.name, taken)
                    gone.append(upload)
        finally:
            for upload, taken in aside.items():
                if upload not in gone:
                    with suppress(FileExistsError):  # uploaded again meanwhile
                        os.link(taken, upload.path)
                taken.unlink(missing_ok=True)
        return gone

    def _take(self, upload: Path) -> Path | None:
        """Take the upload away from everybody; returns where it is then, None when somebody was quicker."""
        self.work_path.mkdir(parents=True, exist_ok=True)
        taken = self.work_path / f"upload-{secrets.token_hex(8)}"
        try:
            return upload.rename(taken)
        except FileNotFoundError:
            return None

    def _is_alone(self, file: Path, sha256: str) -> bool:
        """Whether nobody but the store has another link of the file."""
        links = 2 if self.store.shares(file, sha256) else 1
        status = status_of(file)
        return status is not None and S_ISREG(status.st_mode) and status.st_nlink == links


def _named(documents: Documents) -> set[str]:
    """All that may be the name of an upload in the documents."""
    return {name for document in documents() for name in NAMED.findall(document)}
