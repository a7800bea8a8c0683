"""What a file is, by how it begins: its name says nothing that can be relied on.

Clients pack a `tar.gz` and call it `.7z`, so any archive is welcome under the name of any other one. Whether it is
sound shows when it is read.
"""

from pathlib import PurePath

from knossosd.conversion.tarball import BLOCK, is_tar

HEAD = BLOCK
"""Bytes from which the kind shows; of a shorter file, all of it."""

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07\x00", "rar"),
    (b"Rar!\x1a\x07\x01\x00", "rar"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gz"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bz2"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)

ARCHIVES = frozenset({kind for _, kind in MAGIC} | {"tar", "tgz", "txz", "tbz2"})
"""Endings of file names that promise an archive of a kind that is known here."""


def ending_of(name: str) -> str:
    """The ending of a file name, as it stands in `UPLOAD_EXTENSIONS`: lower case, without the dot."""
    return PurePath(name).suffix.lower().removeprefix(".")


def archive_kind(head: bytes) -> str | None:
    """The kind of archive that begins with `head`, which are `HEAD` bytes if there are so many; None if it is none."""
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    return "tar" if is_tar(head[:BLOCK]) else None


def keeps_its_promise(ending: str, head: bytes) -> bool:
    """Whether a file that begins with `head` may have a name with this ending."""
    return ending not in ARCHIVES or archive_kind(head) is not None
