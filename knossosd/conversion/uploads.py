"""Uploads: their public names, and how those that no mod published go again.

How many links a file has tells who uses it: an upload has one, the store another, and every name that a mod published,
and every conversion that runs just now, has one more.
"""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from time import time
from typing import Self

from knossosd.conversion.disposable import Disposable, status_of
from knossosd.conversion.errand import Check
from knossosd.conversion.store import Store, flush, relink
from knossosd.repo.contents import Digest
from knossosd.settings import Settings

NAME = re.compile(r"[0-9a-f]{64}")
"""What an upload is called: its sha256. Whatever else lies in the folder is not ours."""


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
        return cls(folder, url, Store(settings.store_path), settings.work_path, settings.upload_lifetime)

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

    def superfluous(self) -> list[Disposable]:
        """The uploads that no mod published and no conversion holds, and that are too old."""
        uploads = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [
            Disposable(path, status.st_size, status.st_ctime)
            for path in uploads
            if NAME.fullmatch(path.name) and (status := status_of(path))
            # Every link that comes or goes changes st_ctime: it is when the upload was last of use.
            if self.clock() - status.st_ctime > self.lifetime and self._is_alone(path, path.name)
        ]

    def trim(self) -> list[Disposable]:
        """Remove what is superfluous, from the store as well; returns what went."""
        return [upload for upload in self.superfluous() if self._remove(upload.path)]

    def _remove(self, upload: Path) -> bool:
        """Remove the upload, unless somebody took a link of it just now: so its name goes before its links are
        counted, and comes back if need be. Of several who try, one finds the name."""
        self.work_path.mkdir(parents=True, exist_ok=True)
        taken = self.work_path / f"upload-{secrets.token_hex(8)}"
        try:
            upload.rename(taken)
        except FileNotFoundError:
            return False
        try:
            if self._is_alone(taken, upload.name):
                self.store.discard(upload.name, taken)
                return True
            with suppress(FileExistsError):  # uploaded again meanwhile
                os.link(taken, upload)
            return False
        finally:
            taken.unlink(missing_ok=True)

    def _is_alone(self, file: Path, sha256: str) -> bool:
        """Whether nobody but the store has another link of the file."""
        links = 2 if self.store.shares(file, sha256) else 1
        status = status_of(file)
        return status is not None and S_ISREG(status.st_mode) and status.st_nlink == links
