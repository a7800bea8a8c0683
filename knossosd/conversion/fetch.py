"""One file of a document, wherever it lies: in a folder of ours, or behind a link."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from knossosd.conversion.cache import Record
from knossosd.conversion.digest import digest_chunks, read_chunks
from knossosd.conversion.errand import checked
from knossosd.conversion.examination import Changed, Seal
from knossosd.conversion.known import KnownLinks
from knossosd.conversion.landing import Landing
from knossosd.conversion.links import elsewhere, on_shelf
from knossosd.conversion.observer import Level, Measure
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Digest
from knossosd.repo.models import PackageFile

LOOKS = 2
"""How often files of ours are looked for: one may go, or be written, just when it is read, and be there right after."""


class Fetched(NamedTuple):
    """A file that was fetched: where it lies, its digest, and the link that gave it, unless it was ours already."""

    path: Path
    digest: Digest
    link: str | None = None


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A stored file that was digested, and as what."""

    seal: Seal
    digest: Digest

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(Seal(*record["seal"]), Digest(**record["digest"]))


def fetch(file: PackageFile, folder: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    """Fetch `file`, into the workspace `folder` if need be.

    Raises `InputFault` or `RemoteFault` when no link leads to it, and `ServerFault` when the disk is full.
    """
    into = folder / "archive"
    for _ in range(LOOKS):
        own = on_shelf(file.urls, toolbox.shelves)
        if own is None:
            break
        try:
            return _from_shelf(file.filename, own, into, toolbox, wishes)
        except (FileNotFoundError, Changed):
            into.unlink(missing_ok=True)
    links = elsewhere(file.urls, toolbox.shelves)
    if not links:
        raise InputFault(
            Code.LOCAL_FILE_MISSING,
            f"There is no file (any more), or none that is finished, where the links of {file.filename} lead on this "
            "server.",
            "Upload it again, or give a link to another host.",
        )
    return _from_links(file.filename, links, into, toolbox, wishes)


def forget(fetched: Fetched, toolbox: Toolbox) -> None:
    """Keep nothing of a file that turned out to be of no use; the file itself is the workspace's."""
    toolbox.memory.store.discard(fetched.digest.sha256, fetched.path)
    if fetched.link:
        _known_links(toolbox).forget(fetched.link)


def _from_shelf(name: str, own: Path, into: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    """Let `into` be a file of ours. Raises `FileNotFoundError` when it has just gone, and `Changed`."""
    if toolbox.mirror and own.is_relative_to(toolbox.mirror.path.resolve()):
        wishes.log(Level.INFO, f"Reading {name} from the mirror")
        return _from_mirror(own, into, toolbox, wishes)
    wishes.log(Level.INFO, f"Reading {name} from disk")
    return _from_disk(own, into, wishes)


def _from_mirror(own: Path, into: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    """Hold a file of the mirror: by a link if it is stored content, into which nobody writes, and else by a copy.

    Stored content is digested again only when it changed, which its names on the mirror never do.
    """
    if own.stat().st_nlink == 1 or not _is_linked(own, into):
        return _from_disk(own, into, wishes)
    store, cache, seal = toolbox.memory.store, toolbox.memory.cache, _seal(into)
    known = cache.recall("files", str(own), _Sealed.of)
    if known and known.seal == seal and store.shares(into, known.digest.sha256):
        wishes.measured(Measure.FILE_KNOWN, 1)
        return Fetched(into, known.digest)
    wishes.measured(Measure.FILE_NEW, 1)
    digest = digest_chunks(_read(into, seal, wishes))
    if not store.shares(into, digest.sha256):  # somebody else has the other links of it
        into.unlink()
        return _from_disk(own, into, wishes)
    cache.remember("files", str(own), asdict(_Sealed(seal, digest)))
    return Fetched(into, digest)


def _is_linked(own: Path, into: Path) -> bool:
    """Let `into` be a link of the file; False when its file system does not do that for us."""
    try:
        os.link(own, into)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


def _from_disk(own: Path, into: Path, wishes: Wishes) -> Fetched:
    """Copy a file that somebody may write at any time. Raises `Changed` when that happens meanwhile."""
    own = own.resolve()
    seal = _seal(own)
    with into.open("xb") as file:
        landing = Landing(file)
        for chunk in _read(own, seal, wishes):
            landing.add(chunk)
        return Fetched(into, landing.digest())


def _seal(file: Path) -> Seal:
    seal = Seal.of(file)
    if seal is None:
        raise Changed
    return seal


def _read(file: Path, seal: Seal, wishes: Wishes) -> Iterator[bytes]:
    """The bytes of the file with the `seal`. Raises `Changed` when it is replaced or written meanwhile."""
    size = 0
    for chunk in checked(read_chunks(file), wishes.errand.check):
        size += len(chunk)
        if size > seal.size:  # who writes it may be as fast as we are
            break
        yield chunk
        wishes.advance(size, seal.size)
    if Seal.of(file) != seal:
        raise Changed


def _from_links(name: str, links: Sequence[str], into: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    wishes.log(Level.INFO, f"Downloading {name}")
    download = toolbox.downloader.fetch(links, into, wishes, replace(_known_links(toolbox), check=wishes.errand.check))
    if download.was_known:
        wishes.log(Level.INFO, f"{name} is still the file that was fetched before")
    return Fetched(into, download.digest, download.url)


def _known_links(toolbox: Toolbox) -> KnownLinks:
    return KnownLinks(toolbox.memory.cache, toolbox.memory.store)
