"""From what an archive holds to what players get: names by the rule, each once."""

from collections.abc import Sequence

from knossosd.conversion.reading import Reading
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Digest, Member
from knossosd.repo.names import examples, tidy_path
from knossosd.repo.portable import is_plain, is_portable, why_refused

LONGEST_SHOWN = 100
"""Characters of a name in a message."""


def usable(reading: Reading, members: Sequence[Member]) -> list[Member]:
    """The members with tidy names; of two with the same name the later one counts, as in unpacking.

    Warns of names that Windows changes. Raises `InputFault` when a name is refused.
    """
    max_length = reading.tools.limits.max_path_length
    by_path: dict[str, Digest] = {}
    refused, changed = [], []
    for path, digest in members:
        if is_plain(path, max_length):
            by_path[path] = digest
        elif reason := why_refused(path, max_length):
            refused.append(f"{shown(path)} ({reason})")
        else:
            by_path[tidy_path(path)] = digest
            changed += [] if is_portable(tidy_path(path)) else [path]
    if refused:
        raise InputFault(
            Code.MEMBER_NAME_REFUSED,
            f"{reading.name} holds files whose names are refused: {examples(refused)}.",
            "Pack the archive with plain relative names that work on Windows too.",
        )
    if changed:
        reading.warn(
            Code.MEMBER_NAME_CHANGED,
            f"On Windows files cannot be called like these in {reading.name}: {examples(changed)}.",
            'Give them names without < > " | ? * and without dots or spaces at the end.',
        )
    if len(by_path) < len(members):
        reading.warn(
            Code.MEMBER_LEFT_OUT,
            f"{reading.name} holds {len(members) - len(by_path)} files twice; the later ones count.",
            "Pack the archive again, each file once.",
        )
    return [Member(path, digest) for path, digest in by_path.items()]


def shown(path: str) -> str:
    """A path as it may stand in a message: short, and without characters that do something."""
    text = ascii(path)[1:-1]
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
