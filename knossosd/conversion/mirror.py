"""The mirror: a folder with a public URL, in which every published name keeps its content for ever.

An archive is published as `<mod id>/<mod version>/<file name>`. Documents that were generated before point at these
names with checksums, so a name is never given other content: another archive of the same name gets a number in front
of it, as the original server did. The names are hard links to the content store, which has every content once.
"""

import os
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from knossosd.conversion.digest import digest_chunks, read_chunks
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import Check, checked
from knossosd.conversion.store import Store, flush
from knossosd.faults import Code, ServerFault
from knossosd.repo.contents import Digest


@dataclass(frozen=True, slots=True)
class Mirror:
    """The folder `path` and the public URL of it, without a slash at its end; `store` has the contents."""

    path: Path
    url: str
    store: Store

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

    def publication(self, check: Check = lambda: None) -> "Publication":
        """Publish several archives together, as a context manager that withdraws them unless they are kept."""
        return Publication(self, check)


@dataclass(slots=True)
class Publication:
    """The archives that one conversion publishes: all of them, when `keep` is called in the end, or none."""

    mirror: Mirror
    check: Check
    _published: list[Path] = field(default_factory=list)
    _folders: list[Path] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for target in self._published:
            target.unlink(missing_ok=True)
        for folder in reversed(self._folders):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def keep(self) -> None:
        """Everything that was published stays."""
        self._published.clear()
        self._folders.clear()

    def publish(self, archive: Path, digest: Digest, *, mod: str, version: str, filename: str) -> str:
        """Give the file `archive`, whose content has the `digest`, its public name; returns its public link.

        The file lies on the mirror's file system, and may be removed afterwards. Raises `ServerFault` when the mirror
        cannot take it.
        """
        name = PurePosixPath(filename).name
        try:
            with telling_of_a_full_disk():
                self.mirror.store.keep(archive, digest)
                folder = self._make_folder(PurePosixPath(mod) / version)
                for number in count():
                    target = folder / (f"{number}_{name}" if number else name)
                    if self._place(archive, target) or self._is_made_one(target, archive, digest):
                        flush(folder)
                        return "/".join((self.mirror.url, quote(mod), quote(version), quote(target.name)))
        except OSError as error:
            raise ServerFault(
                Code.MIRROR_FAILED,
                f"The mirror could not take {filename}: {error.strerror or error}.",
                "This is not your mod's fault. The operator has to look at the mirror's disk.",
            ) from error
        raise AssertionError("count() does not end")

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

    def _place(self, archive: Path, target: Path) -> bool:
        """Make `target` a name of the content in one step; False when the name is taken."""
        try:
            os.link(archive, target)
        except FileExistsError:
            return False
        self._published.append(target)
        return True

    def _is_made_one(self, target: Path, archive: Path, digest: Digest) -> bool:
        """Whether the published file has the same content; one that was published by other means becomes a link as
        well."""
        if target.samefile(archive):
            return True
        if target.stat().st_size != digest.size or digest_chunks(checked(read_chunks(target), self.check)) != digest:
            return False
        link = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
        os.link(archive, link)
        link.replace(target)
        return True
