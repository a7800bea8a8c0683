"""Dividing an archive into shares that several 7-Zip processes can unpack side by side.

Independent of each other are the files of a zip and of a RAR that is not solid, and the solid blocks of a 7z.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from knossosd.conversion.listing import Entry, Listing
from knossosd.conversion.sevenzip import Names

FILE_BY_FILE = {"zip", "Rar", "Rar5"}
"""Formats that pack each file for itself, unless they are solid."""

MIN_SIZE = 16 * 1024 * 1024
"""Unpacked bytes that are worth a process of their own."""

PER_COMPARISON = 32
"""Unpacked bytes for which a comparison of two names pays. 7-Zip compares the names that it is given with those in the
archive, at worst each with each, so the small files of a large archive are cheaper to unpack than to name."""

PER_CORE = 4
"""Shares for each core: some take longer than others, and other readings come and go."""


@dataclass(frozen=True, slots=True)
class Share:
    """Some of an archive's files: how 7-Zip is told, where they stand in the listing's `files`, and their bytes."""

    names: Names
    places: tuple[int, ...]
    size: int


def divide(listing: Listing, cores: int) -> list[Share]:
    """The shares for so many cores, the largest first; none when the archive is better unpacked as one."""
    files = listing.files
    if cores < 2 or len({file.path for file in files}) < len(files):
        return []
    target = max(MIN_SIZE, _size(files, range(len(files))) // (PER_CORE * cores))
    groups, rest = _group(_units(listing), files, target)
    shares = [_share(files, group, Names(_paths(files, group), "i")) for group in groups]
    if rest:
        others = tuple(path for group in groups for path in _paths(files, group))
        shares.append(_share(files, rest, Names(others, "x")))
    return sorted(shares, key=lambda share: -share.size) if len(shares) > 1 else []


def _units(listing: Listing) -> list[list[int]]:
    """The places of the files that can only be unpacked together. Empty files are packed nowhere."""
    files = listing.files
    packed = [place for place, file in enumerate(files) if file.size]
    if listing.type == "7z":
        blocks = groupby(packed, key=lambda place: files[place].block)
        return [list(places) for _, places in blocks]
    if listing.type in FILE_BY_FILE and not listing.is_solid:
        return [[place] for place in packed]
    return [packed]


def _group(units: Iterable[list[int]], files: Sequence[Entry], target: int) -> tuple[list[list[int]], list[int]]:
    """Groups of about `target` bytes, and the rest: what is cheaper to unpack than to name, or too little."""
    groups: list[list[int]] = []
    rest: list[int] = []
    group: list[int] = []
    grouped = 0
    for unit in units:
        size = _size(files, unit)
        if size < len(unit) * len(files) * PER_COMPARISON:
            rest += unit
            continue
        group += unit
        grouped += size
        if grouped >= target:
            groups.append(group)
            group, grouped = [], 0
    if grouped >= MIN_SIZE:
        groups.append(group)
    else:
        rest += group
    return groups, rest


def _share(files: Sequence[Entry], places: Sequence[int], names: Names) -> Share:
    return Share(names, tuple(sorted(places)), _size(files, places))


def _paths(files: Sequence[Entry], places: Iterable[int]) -> tuple[str, ...]:
    return tuple(files[place].path for place in places)


def _size(files: Sequence[Entry], places: Iterable[int]) -> int:
    return sum(files[place].size or 0 for place in places)
