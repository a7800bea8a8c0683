"""What archives were found to hold: an archive that was read once is not read again by the same reader."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from knossosd.conversion.archive import INSPECTOR_VERSION, Inspection
from knossosd.conversion.cache import Cache, Record
from knossosd.conversion.errand import Check
from knossosd.conversion.sevenzip import SevenZip
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import Code, Finding
from knossosd.repo.contents import Digest, Member


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests in the `cache`, by the sha256 of the archive."""

    cache: Cache

    def find(self, archive: Digest, name: str, reader: str) -> Inspection | None:
        """What the archive with this digest holds, when the `reader` read it before: under this name, if the name
        counts."""
        manifest = self.cache.recall("manifests", archive.sha256, _Manifest.of)
        if manifest is None or manifest.reader != reader or manifest.name not in (None, name):
            return None
        return manifest.inspection

    def keep(self, archive: Digest, name: str, reader: str, inspection: Inspection) -> None:
        """Remember what the archive holds, as the `reader` found it."""
        record: Record = {
            "reader": reader,
            "name": name if inspection.name_counts else None,
            "members": [(path, digest.size, digest.md5, digest.sha256) for path, digest in inspection.members],
            "warnings": [warning.as_json() for warning in inspection.warnings],
        }
        self.cache.remember("manifests", archive.sha256, record)

    def forget(self, sha256: str) -> None:
        """Remember no longer what the archive holds: somebody may have read other bytes in its place."""
        self.cache.forget("manifests", sha256)


def read_once(
    archive: Digest,
    name: str,
    toolbox: Toolbox,
    read: Callable[[], Inspection],
    *,
    busy: Callable[[], None],
    known: Callable[[], None],
    check: Check,
) -> Inspection:
    """What the archive with this digest holds. Of all that want to read the same content at once, one does.

    `read` reads it when that was not done before; else `known` is called. `busy` is called once when somebody else is
    reading it. Raises what `read` and `check` raise.
    """
    manifests, reader = Manifests(toolbox.memory.cache), reader_of(toolbox.archive_tools.sevenzip)
    with toolbox.leases.hold([f"content {archive.sha256}"], busy=busy, check=check):
        inspection = manifests.find(archive, name, reader)
        if inspection:
            known()
        else:
            inspection = read()
            manifests.keep(archive, name, reader, inspection)
    return inspection


def reader_of(sevenzip: SevenZip) -> str:
    """What reads archives with this 7-Zip: another one may find something else in them."""
    return f"{INSPECTOR_VERSION} {_version(sevenzip.program)}"


@cache
def _version(program: Path) -> str:
    """The line in which the program tells its version. It is asked once in every process."""
    return SevenZip(program).about().strip().partition("\n")[0]


class _Manifest(NamedTuple):
    """What a record of the cache says. `name` is None when it does not count."""

    reader: str
    name: str | None
    inspection: Inspection

    @classmethod
    def of(cls, record: Record) -> Self:
        members = tuple(Member(path, Digest(*digest)) for path, *digest in record["members"])
        warnings = tuple(Finding(Code(one["code"]), one["message"], one.get("hint", "")) for one in record["warnings"])
        return cls(record["reader"], record["name"], Inspection(members, warnings, record["name"] is not None))
