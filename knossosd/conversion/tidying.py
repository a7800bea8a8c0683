"""What does not stay: work that was left behind, uploads that nobody used, and what is remembered for too long.

Every part may run twice at once, on several hosts as well: of those who want to remove something, one does.
"""

from knossosd.conversion import workspace
from knossosd.conversion.disposable import Disposable
from knossosd.conversion.memory import Memory
from knossosd.conversion.parts import PartFiles
from knossosd.conversion.uploads import Documents, Uploads
from knossosd.settings import Settings

Found = dict[str, list[Disposable]]
"""What may be removed, or was, by what it is."""


def superfluous(settings: Settings, documents: Documents | None) -> Found:
    """What `tidy` would remove now."""
    uploads = Uploads.from_settings(settings)
    return _found(
        workspace.abandoned(settings.work_path),
        PartFiles.from_settings(settings).abandoned(),
        uploads.superfluous(documents) if uploads and documents else [],
        Memory.from_settings(settings).superfluous(),
    )


def tidy(settings: Settings, documents: Documents | None) -> Found:
    """Remove all that; returns what went.

    `documents` are those that are still to be converted. When nobody knows them, None, uploads are let alone.
    """
    uploads = Uploads.from_settings(settings)
    # In this order nothing that goes makes something else superfluous: so it is what was found above.
    remembered = Memory.from_settings(settings).trim()
    unused = uploads.trim(documents) if uploads and documents else []
    return _found(workspace.sweep(settings.work_path), PartFiles.from_settings(settings).sweep(), unused, remembered)


def _found(
    work: list[Disposable], parts: list[Disposable], uploads: list[Disposable], remembered: list[Disposable]
) -> Found:
    return {
        "pieces of abandoned work": work,
        "uploads that were not finished": parts,
        "unused uploads": uploads,
        "records and unpublished archives": remembered,
    }
