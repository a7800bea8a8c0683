"""What was found in the archives: the facts that a generated document states about them."""

from dataclasses import dataclass
from typing import NamedTuple


class Digest(NamedTuple):
    """Size in bytes and checksums (lower-case hex) of some content.

    md5 is for the 2017 client; every client since reads sha256 only.
    """

    size: int
    md5: str
    sha256: str


class Member(NamedTuple):
    """One regular file inside an archive. `path` is relative, its parts separated by `/`."""

    path: str
    digest: Digest


class FileKey(NamedTuple):
    """Names one entry of a document's `files`: mod id, mod version, package name, file name."""

    mod: str
    version: str
    package: str
    filename: str


@dataclass(frozen=True, slots=True)
class Contents:
    """One fetched file: its own digest, its public links, best last, and its members in archive order.

    A plain file (`is_archive: false`) has no members.
    """

    digest: Digest
    urls: tuple[str, ...]
    members: tuple[Member, ...]
