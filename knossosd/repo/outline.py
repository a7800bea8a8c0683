"""What an archive holds, in short: what somebody who drafts a document from it has to know."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from knossosd.repo.contents import Member

MOST = 50
"""Names that one list of an outline tells."""

PROGRAM = re.compile(r"\.(exe|appimage)$|(^|/)(fs2_open|fred2_open|wxlauncher)[\w-]*(\.\d[\w-]*)*$", re.IGNORECASE)
"""What the programs of the game are called: on Linux builds without an ending, but perhaps with a version."""


@dataclass(frozen=True, slots=True)
class Outline:
    """`files` in number, unpacked `size` in bytes, and the first `MOST` of each: what lies at the `top` (folders end
    in `/`), where a mod.ini is, packed data (`vps`), and what the game's engine and tools are called (`programs`)."""

    files: int
    size: int
    top: tuple[str, ...]
    mod_inis: tuple[str, ...]
    vps: tuple[str, ...]
    programs: tuple[str, ...]


def outline(members: Sequence[Member]) -> Outline:
    """The outline of an archive with these files."""
    paths = [member.path for member in members]
    return Outline(
        files=len(members),
        size=sum(member.digest.size for member in members),
        top=_first(dict.fromkeys(_at_the_top(path) for path in paths)),
        mod_inis=_first(path for path in paths if path.lower().rpartition("/")[2] == "mod.ini"),
        vps=_first(path for path in paths if path.lower().endswith(".vp")),
        programs=_first(path for path in paths if PROGRAM.search(path)),
    )


def _at_the_top(path: str) -> str:
    name, slash, _ = path.partition("/")
    return name + slash


def _first(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(names, MOST))
