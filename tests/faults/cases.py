"""What is submitted in a storm, and what must come of each ticket."""

import hashlib
import zipfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random

from knossosd.tickets.store import Receipt
from tests import archives
from tests.faults.watcher import Watcher

SIZE = 2000


class Kind(Enum):
    """The archive of a ticket: of its own, the same that others have, or damaged."""

    OWN = "own"
    SHARED = "shared"
    DAMAGED = "damaged"


KINDS = (Kind.OWN, Kind.SHARED, Kind.OWN, Kind.OWN, Kind.DAMAGED, Kind.OWN, Kind.SHARED, Kind.OWN)
"""Of the tickets, in turns."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that a host serves as `name`; `checksum` is the sha256 of the one file in it."""

    name: str
    content: bytes
    checksum: str


@dataclass(slots=True)
class Case:
    """One ticket of the storm. Once it was `called_off`, it may also have ended so."""

    receipt: Receipt
    version: str
    kind: Kind
    archive: Archive
    watcher: Watcher
    called_off: bool = False

    @property
    def place(self) -> str:
        """Where its archive is published, below the mod's folder, when it succeeds."""
        return f"{self.version}/{self.archive.name}"


def kind_of(number: int) -> Kind:
    """The kind of the ticket with this number."""
    return KINDS[number % len(KINDS)]


def make_archive(kind: Kind, name: str, folder: Path, chance: Random) -> Archive:
    """An archive of this kind with content that no other one has."""
    content = chance.randbytes(SIZE)
    packed = bytearray(archives.make_zip(folder / name, {"mod.ini": content}, zipfile.ZIP_STORED).read_bytes())
    if kind is Kind.DAMAGED:
        packed[packed.index(content) + SIZE // 2] ^= 0xFF
    return Archive(name, bytes(packed), hashlib.sha256(content).hexdigest())
