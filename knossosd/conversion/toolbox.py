"""What a conversion works with: made once per process from the settings, shared by its conversions."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from knossosd.conversion.bounds import Bounds
from knossosd.conversion.cores import Cores
from knossosd.conversion.download import Downloader
from knossosd.conversion.leases import Leases
from knossosd.conversion.links import Shelf
from knossosd.conversion.memory import Memory
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.reading import ArchiveLimits, Tools
from knossosd.conversion.sevenzip import SevenZip
from knossosd.settings import Settings


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of a conversion. `shelves` are folders of ours whose links need no request.

    `work_path` is where archives lie meanwhile, on the mirror's file system when there is a mirror. `timeout` is for
    one whole conversion, in seconds.
    """

    downloader: Downloader
    archive_tools: Tools
    mirror: Mirror | None
    shelves: tuple[Shelf, ...]
    memory: Memory
    leases: Leases
    work_path: Path
    files_at_once: int
    timeout: float

    @classmethod
    def from_settings(cls, settings: Settings, leases: Leases, *more_shelves: Shelf) -> Self:
        """The toolbox that the settings describe. Raises `ServerFault` when 7-Zip is missing."""
        memory = Memory.from_settings(settings)
        mirror = Mirror.from_settings(settings)
        cores = Cores(settings.cores_path, settings.cores)
        return cls(
            downloader=Downloader.from_settings(settings, leases),
            archive_tools=Tools(
                SevenZip(settings.sevenzip, Bounds.from_settings(settings, cores)),
                cores,
                ArchiveLimits.from_settings(settings),
            ),
            mirror=mirror,
            shelves=((mirror,) if mirror else ()) + more_shelves,
            memory=memory,
            leases=leases,
            work_path=settings.work_path,
            files_at_once=settings.files_at_once,
            timeout=settings.conversion_timeout,
        )

    def starting_over(self) -> "Toolbox":
        """The same tools, for a conversion that fetches and reads everything anew."""
        return replace(self, memory=self.memory.without_recall())
