"""The links of an archive: which can be read from a folder of ours, and which the generated document names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

INDIRECT_HOSTS = ("freespacemods.net", "fsmods.net", "mediafire.com", "app.box.com")
"""Hosts whose links lead to a page instead of a file. The original server took them out of the document as well."""


class Shelf(Protocol):
    """A folder of ours whose files have links."""

    def owns(self, link: str) -> bool:
        """Whether `link` names something on this shelf, there or not."""

    def find(self, link: str) -> Path | None:
        """The file that `link` names, None when there is none on this shelf."""


class LocalFiles:
    """The shelf of `file:` links, for conversions at the command line, where the user's own files are meant."""

    def owns(self, link: str) -> bool:
        return link.startswith("file:")

    def find(self, link: str) -> Path | None:
        named = Path(unquote(urlsplit(link).path))
        return named if self.owns(link) and named.is_file() else None


def on_shelf(links: Sequence[str], shelves: Sequence[Shelf]) -> Path | None:
    """The first file that one of the links names on one of the shelves."""
    for link in links:
        for shelf in shelves:
            if found := shelf.find(link):
                return found
    return None


def elsewhere(links: Sequence[str], shelves: Sequence[Shelf]) -> list[str]:
    """The links that have to be downloaded: those that are on no shelf."""
    return [link for link in links if not any(shelf.owns(link) for shelf in shelves)]


def public_links(links: Sequence[str], *, mirror_url: str | None, mirrored: str | None) -> tuple[str, ...]:
    """The links that players get: those that lead to the file itself, and the mirror's own last.

    Links to pages, to files of this machine and to other places of the mirror (uploads are not kept for ever) are left
    out. `mirrored` is the archive's public link on the mirror, None when nothing is mirrored.
    """
    kept = [link for link in links if _is_public(link) and not (mirror_url and link.startswith(mirror_url + "/"))]
    return (*kept, mirrored) if mirrored else tuple(kept)


def _is_public(link: str) -> bool:
    parts = urlsplit(link)
    host = parts.hostname or ""
    indirect = any(host == name or host.endswith("." + name) for name in INDIRECT_HOSTS)
    return parts.scheme in ("http", "https") and not indirect
