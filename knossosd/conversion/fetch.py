"""One file of a document, wherever it lies: in a folder of ours, or behind a link."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from knossosd.conversion.digest import Digester, read_chunks
from knossosd.conversion.errand import checked
from knossosd.conversion.known import KnownLinks
from knossosd.conversion.landing import Landing
from knossosd.conversion.links import elsewhere, on_shelf
from knossosd.conversion.observer import Level
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Digest
from knossosd.repo.models import PackageFile


class Fetched(NamedTuple):
    """A file that was fetched: where it lies, its digest, and the link that gave it, unless it was ours already."""

    path: Path
    digest: Digest
    link: str | None = None


def fetch(file: PackageFile, folder: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    """Fetch `file`, into the workspace `folder` if need be.

    Raises `InputFault` or `RemoteFault` when no link leads to it, and `ServerFault` when the disk is full.
    """
    own = on_shelf(file.urls, toolbox.shelves)
    if own and toolbox.mirror and own.is_relative_to(toolbox.mirror.path.resolve()):
        wishes.log(Level.INFO, f"Reading {file.filename} from the mirror")
        return _from_mirror(own, folder / "archive", toolbox, wishes)
    if own:
        wishes.log(Level.INFO, f"Reading {file.filename} from disk")
        return _from_disk(own, folder / "archive", wishes)
    links = elsewhere(file.urls, toolbox.shelves)
    if not links:
        raise InputFault(
            Code.LOCAL_FILE_MISSING,
            f"There is no file (any more) where the links of {file.filename} lead on this server.",
            "Upload it again, or give a link to another host.",
        )
    return _from_links(file.filename, links, folder / "archive", toolbox, wishes)


def forget(fetched: Fetched, toolbox: Toolbox) -> None:
    """Keep nothing of a file that turned out to be of no use; the file itself is the workspace's."""
    toolbox.memory.store.discard(fetched.digest.sha256, fetched.path)
    if fetched.link:
        _known_links(toolbox).forget(fetched.link)


def _from_mirror(own: Path, into: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    """Hold a file of the mirror. It is digested again only when it changed, which its names on the mirror never do."""
    os.link(own, into)
    status = into.stat()
    seal = f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
    record = toolbox.memory.cache.recall("files", str(own), lambda record: (record["seal"], Digest(**record["digest"])))
    if record and record[0] == seal:
        return Fetched(into, record[1])
    digester = Digester()
    for chunk in checked(read_chunks(into), wishes.errand.check):
        digester.update(chunk)
        wishes.advance(digester.size, status.st_size)
    digest = digester.digest()
    toolbox.memory.cache.remember("files", str(own), {"seal": seal, "digest": asdict(digest)})
    return Fetched(into, digest)


def _from_disk(own: Path, into: Path, wishes: Wishes) -> Fetched:
    """Copy a file that is the user's, who may change it at any time."""
    total = own.stat().st_size
    with into.open("xb") as file:
        landing = Landing(file)
        for chunk in checked(read_chunks(own), wishes.errand.check):
            landing.add(chunk)
            wishes.advance(landing.size, total)
        return Fetched(into, landing.digest())


def _from_links(name: str, links: Sequence[str], into: Path, toolbox: Toolbox, wishes: Wishes) -> Fetched:
    wishes.log(Level.INFO, f"Downloading {name}")
    download = toolbox.downloader.fetch(links, into, wishes, _known_links(toolbox))
    if download.was_known:
        wishes.log(Level.INFO, f"{name} is still the file that was fetched before")
    return Fetched(into, download.digest, download.url)


def _known_links(toolbox: Toolbox) -> KnownLinks:
    return KnownLinks(toolbox.memory.cache, toolbox.memory.store)
