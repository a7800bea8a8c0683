"""The content store of the mirror: every content once, under its checksum.

A public name on the mirror is a hard link to `<sha256>` in here, and so is the file of a conversion that uses a content
again. Whoever uses a content holds a link of its own, so removing one from the store never takes it away from anybody.
"""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from knossosd.conversion.digest import read_chunks, sha256_of
from knossosd.conversion.disposable import status_of
from knossosd.conversion.errand import Check, checked
from knossosd.repo.contents import Digest

log = logging.getLogger(__name__)

READ_ONLY = 0o444
"""The mode of stored files: all names share one content, so nobody may write into it by one of them. Players download
them through whichever web server."""


@dataclass(frozen=True, slots=True)
class Store:
    """The store in `folder`, which is on the mirror's file system."""

    folder: Path

    def keep(self, file: Path, digest: Digest, check: Check = lambda: None) -> bool:
        """Let the store hold the content of `file`, which has the `digest`; the file becomes a name of that content.
        Whether it held that before.

        What is stored already takes the place of the file only when it is sound, and is read for that. Raises what
        `check` raises, and `OSError` when the disk cannot take it.
        """
        stored = self.place(digest.sha256)
        stored.parent.mkdir(parents=True, exist_ok=True)
        is_new = False
        while not self.shares(file, digest.sha256):
            if self._holds(digest):
                self._merge(file, digest, check)
                continue
            file.chmod(READ_ONLY)
            flush(file)
            try:
                os.link(file, stored)
            except FileExistsError:  # put there by somebody who was faster, or damaged
                if not self._holds(digest):
                    stored.unlink(missing_ok=True)
                continue
            flush(stored.parent)
            is_new = True
        return not is_new

    def restore(self, file: Path, sha256: str) -> None:
        """Let the stored content be that of `file` in one step, whatever is stored now. Raises `OSError`."""
        stored = self.place(sha256)
        stored.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(READ_ONLY)
        flush(file)
        relink(file, stored)
        flush(stored.parent)

    def take(self, digest: Digest, into: Path) -> bool:
        """Let `into`, a new name on the same file system, be the content with the `digest`; False when it is not
        stored."""
        if not self._holds(digest):
            return False
        try:
            os.link(self.place(digest.sha256), into)
        except FileNotFoundError:
            return False
        return True

    def shares(self, file: Path, sha256: str) -> bool:
        """Whether `file` is a name of the stored content."""
        try:
            return self.place(sha256).samefile(file)
        except FileNotFoundError:
            return False

    def discard(self, sha256: str, file: Path) -> None:
        """Forget the content of which `file` is a name, unless there are more names of it."""
        if self.shares(file, sha256) and file.stat().st_nlink == 2:
            self.place(sha256).unlink(missing_ok=True)

    def nameless(self) -> Iterator[Path]:
        """The stored files that nobody else links to. Their `st_ctime` is when that began."""
        return filter(_is_nameless, self.contents())

    def contents(self) -> Iterator[Path]:
        """All stored files; each is called by its sha256."""
        return self.folder.glob("??/*")

    def extent(self) -> tuple[int, int]:
        """How many contents are stored, and their bytes. It looks at every one."""
        sizes = [status.st_size for stored in self.contents() if (status := status_of(stored))]
        return len(sizes), sum(sizes)

    def remove(self, stored: Path) -> bool:
        """Remove the file `stored` if it is still nameless; whether it was us who did."""
        if not _is_nameless(stored):
            return False
        try:
            stored.unlink()
        except FileNotFoundError:
            return False
        return True

    def place(self, sha256: str) -> Path:
        """Where the content is, if it is stored."""
        return self.folder / sha256[:2] / sha256

    def _merge(self, file: Path, digest: Digest, check: Check) -> None:
        """Let `file` be what is stored with the same size; that goes instead when it is damaged."""
        same = file.with_name(f".{file.name}.{time.monotonic_ns()}")
        if not self.take(digest, same):
            return
        try:
            if sha256_of(checked(read_chunks(same), check)) == digest.sha256:
                same.replace(file)
            elif self.shares(same, digest.sha256):  # nobody else has replaced it meanwhile
                log.warning("the stored content %s is damaged and is replaced", digest.sha256)
                self.place(digest.sha256).unlink(missing_ok=True)
        finally:
            same.unlink(missing_ok=True)  # it is still there when both were names of the same content already

    def _holds(self, digest: Digest) -> bool:
        try:
            return self.place(digest.sha256).stat().st_size == digest.size
        except FileNotFoundError:
            return False


def _is_nameless(stored: Path) -> bool:
    try:
        return stored.stat().st_nlink == 1
    except FileNotFoundError:
        return False


def relink(file: Path, name: Path) -> None:
    """Let `name` be a name of the content of `file` in one step, whatever it was before."""
    link = file.with_name(f".{file.name}.{time.monotonic_ns()}")
    os.link(file, link)
    link.replace(name)
    link.unlink(missing_ok=True)  # it is still there when both were names of the same content already


def flush(path: Path) -> None:
    """See to it that the file's content, or the folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
