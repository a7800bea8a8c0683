"""Reading an archive by unpacking it: the way for archives with links, hidden sizes, or sizes that are not true.

7-Zip writes into a fresh folder, in which nothing but regular files is looked at.
"""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from knossosd.conversion import complaints
from knossosd.conversion.digest import digest_chunks, read_chunks
from knossosd.conversion.disposable import status_of
from knossosd.conversion.errand import checked
from knossosd.conversion.listing import Entry
from knossosd.conversion.reading import Reading
from knossosd.conversion.sevenzip import Ended
from knossosd.conversion.usable import refuse
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Member
from knossosd.repo.names import examples

REST = 4
"""Times as long as a look at the unpacked files took until the next one."""


def read_unpacked(reading: Reading, files: Sequence[Entry]) -> list[Member]:
    """The regular files among the listed `files`, with their digests. Raises the fault of a damaged archive."""
    special = {entry.path for entry in files if entry.is_special}
    refuse(reading, (entry.path for entry in files if not entry.is_special))
    _refuse_ways_through(reading, files, special)
    folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=reading.workspace))
    try:
        watch = _Watch(reading, folder)
        with reading.sevenzip.extract(reading.path, folder, check=watch.look_now_and_then) as run:
            ended = run.wait()
        watch.look()
        found = {str(path.relative_to(folder)): path for path, _ in checked(_regular_files(folder), reading.check)}
        # 7-Zip also complains about links that it would not make; those are left out anyway.
        if complaints.is_damage(ended) or not all(
            _is_whole(entry, found, ended) for entry in files if not entry.is_special
        ):
            raise complaints.explain(ended, [], reading.name)
        reading.leave_out(sorted(special))
        done, members = 0, []
        for path in found.keys() - special:
            members.append(Member(path, digest_chunks(checked(read_chunks(found[path]), reading.check))))
            done += members[-1].digest.size
            reading.advance(done, None)
        order = {entry.path: index for index, entry in enumerate(files)}
        return sorted(members, key=lambda member: (order.get(member.path, len(order)), member.path))
    finally:
        shutil.rmtree(folder)


def _refuse_ways_through(reading: Reading, files: Sequence[Entry], special: set[str]) -> None:
    """7-Zip makes links, and would look for what lies behind them."""
    named = checked(files, reading.check)
    behind = [entry.path for entry in named if not special.isdisjoint(map(str, PurePosixPath(entry.path).parents))]
    if behind:
        raise InputFault(
            Code.MEMBER_NAME_REFUSED,
            f"{reading.name} holds files that are reached through links: {examples(behind)}.",
            "Pack the folders themselves in place of links.",
        )


class _Watch:
    """Looks at what 7-Zip really writes, because listed sizes may lie."""

    def __init__(self, reading: Reading, folder: Path) -> None:
        self._reading = reading
        self._folder = folder
        self._rested = 0.0

    def look_now_and_then(self) -> None:
        """Look, unless that has just been done: with very many files it takes longer than from one time to the next."""
        self._reading.check()
        began = time.monotonic()
        if began >= self._rested:
            self.look()
            self._rested = time.monotonic() + REST * (time.monotonic() - began)

    def look(self) -> None:
        sizes = [size for _, size in checked(_regular_files(self._folder), self._reading.check)]
        self._reading.hold_to_limits(len(sizes), sum(sizes), max(sizes, default=0))


def _is_whole(entry: Entry, found: dict[str, Path], ended: Ended) -> bool:
    """Whether the entry was unpacked; one that 7-Zip could not unpack may have left an empty file."""
    if entry.path not in found:
        return False
    return ended.code in (0, 1) or entry.size in (None, found[entry.path].lstat().st_size)


def _regular_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The regular files below `folder` with their sizes; links are never followed. 7-Zip may be at work meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            status = status_of(path)
            if status and stat.S_ISREG(status.st_mode):
                yield path, status.st_size
