"""The reading of one archive: what is known of it, what it may cost, and what is noticed on the way."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from knossosd.conversion import complaints
from knossosd.conversion.cores import Cores
from knossosd.conversion.errand import Check
from knossosd.conversion.listing import Listing
from knossosd.conversion.sevenzip import Ended, SevenZip
from knossosd.faults import Code, Finding
from knossosd.repo.names import examples
from knossosd.settings import Settings

Advance = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What reading one archive may cost: bytes it unpacks to, number of its files, seconds; and then what of it is
    accepted: bytes of one file, length of one path, and bytes that one byte unpacks to, from a size on."""

    max_unpacked_size: int
    max_members: int
    timeout: float
    max_member_size: float = math.inf
    max_path_length: float = math.inf
    max_ratio: float = math.inf
    ratio_from: int = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The limits that the settings describe."""
        return cls(
            max_unpacked_size=settings.max_unpacked_size,
            max_members=settings.max_members,
            timeout=settings.inspect_timeout,
            max_member_size=settings.max_member_size,
            max_path_length=settings.max_path_length,
            max_ratio=settings.max_ratio,
            ratio_from=settings.ratio_from,
        )


@dataclass(frozen=True, slots=True)
class Tools:
    """What archives are read with."""

    sevenzip: SevenZip
    cores: Cores
    limits: ArchiveLimits


@dataclass(slots=True)
class Reading:
    """One archive: the file at `path`, which the document calls `name`, and the `size` of which was transferred.

    `workspace` is a folder for what has to be unpacked. `advance` is told the unpacked bytes so far and, when it is
    known, their total; `check` raises when the reading was called off or its time is over. `name_counts` once the
    outcome has to do with the name.
    """

    path: Path
    name: str
    size: int
    tools: Tools
    workspace: Path
    advance: Advance
    check: Check
    warnings: list[Finding] = field(default_factory=list)
    name_counts: bool = False

    @property
    def sevenzip(self) -> SevenZip:
        return self.tools.sevenzip

    def hold_to_limits(self, members: int, size: int, largest: int = 0) -> None:
        """Raises `InputFault` when so many files, so many unpacked bytes, or so large a file are more than what is
        accepted."""
        limits = self.tools.limits
        if members > limits.max_members:
            raise complaints.too_large(
                f"{self.name} holds more than {limits.max_members} files.",
                "Split it into several archives, or pack the files into a .vp.",
            )
        if size > limits.max_unpacked_size:
            raise complaints.too_large(
                f"{self.name} unpacks to more than {limits.max_unpacked_size} bytes.", "Split it into several archives."
            )
        if size > limits.ratio_from and size > limits.max_ratio * self.size:
            raise complaints.too_large(
                f"{self.name} unpacks to more than {limits.max_ratio} times its {self.size} bytes, as no mod does.",
                "Leave out what it holds again and again, or pack a file of zeros differently.",
            )
        if largest > limits.max_member_size:
            raise complaints.too_large(
                f"{self.name} holds a file of more than {limits.max_member_size} bytes.",
                "Split the file.",
            )

    def leave_out(self, names: list[str]) -> None:
        """Note that the special entries with these names are not among the files."""
        if names:
            self.warn(
                Code.MEMBER_LEFT_OUT,
                f"{self.name} holds links or other special entries, which were left out: {examples(names)}.",
                "Pack the files themselves in place of links: Windows has no such entries.",
            )

    def warn(self, code: Code, message: str, hint: str) -> None:
        """Note something that the modder should know."""
        self.warnings.append(Finding(code, message, hint))
        self.name_counts = True

    def expect_success(self, ended: Ended, listing: Listing) -> None:
        """Raises the fault that made 7-Zip end with an error."""
        if ended.code not in (0, 1):
            raise complaints.explain(ended, listing.remarks, self.name)

    def counted(self, chunks: Iterator[bytes], total: int | None) -> Iterator[bytes]:
        """The chunks, as long as they are no more than what may be unpacked."""
        done = 0
        for chunk in chunks:
            done += len(chunk)
            self.hold_to_limits(0, done)
            self.advance(done, total)
            yield chunk
