"""What archives were found to hold: an archive that was read once is not read again."""

from dataclasses import dataclass

from knossosd.conversion.archive import INSPECTOR_VERSION, Inspection
from knossosd.conversion.cache import Cache, Record
from knossosd.faults import Code, Finding
from knossosd.repo.contents import Digest, Member


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests in the `cache`, by the content of the archive and the version of the reader."""

    cache: Cache

    def find(self, archive: Digest, name: str) -> Inspection | None:
        """What the archive with this digest holds, when it was read before: under this name, if the name counts."""
        record = self.cache.recall("manifests", _key(archive))
        if record is None or record["name"] not in (None, name):
            return None
        members = tuple(Member(path, Digest(*digest)) for path, *digest in record["members"])
        warnings = tuple(Finding(Code(one["code"]), one["message"], one.get("hint", "")) for one in record["warnings"])
        return Inspection(members, warnings, record["name"] is not None)

    def keep(self, archive: Digest, name: str, inspection: Inspection) -> None:
        """Remember what the archive holds."""
        record: Record = {
            "name": name if inspection.name_counts else None,
            "members": [(path, digest.size, digest.md5, digest.sha256) for path, digest in inspection.members],
            "warnings": [warning.as_json() for warning in inspection.warnings],
        }
        self.cache.remember("manifests", _key(archive), record)


def _key(archive: Digest) -> str:
    return f"{INSPECTOR_VERSION} {archive.sha256}"
