"""From what an archive holds to what players get: names by the rule, each once."""

from collections.abc import Iterable, Sequence

from knossosd.conversion.errand import checked
from knossosd.conversion.reading import Reading
from knossosd.faults import Code, InputFault
from knossosd.repo.contents import Digest, Member
from knossosd.repo.names import examples, tidy_path
from knossosd.repo.portable import is_plain, is_portable, why_refused


def usable(reading: Reading, members: Sequence[Member]) -> list[Member]:
    """The members with tidy names; of two with the same name the later one counts, as in unpacking.

    Warns of names that Windows changes. Raises `InputFault` when a name is refused.
    """
    max_length = reading.tools.limits.max_path_length
    by_path: dict[str, Digest] = {}
    unusual = []
    for path, digest in members:
        if is_plain(path, max_length):
            by_path[path] = digest
        else:
            by_path[tidy_path(path)] = digest
            unusual.append(path)
    refuse(reading, unusual)
    if changed := [path for path in unusual if not is_portable(tidy_path(path))]:
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


def refuse(reading: Reading, paths: Iterable[str]) -> None:
    """Raises `InputFault` when one of these names is refused."""
    max_length, named = reading.tools.limits.max_path_length, checked(paths, reading.check)
    refused = [f"{reason}: {path}" for path in named if (reason := why_refused(path, max_length))]
    if refused:
        raise InputFault(
            Code.MEMBER_NAME_REFUSED,
            f"{reading.name} holds files whose names are refused: {examples(refused)}.",
            "Pack the archive with plain relative names that work on Windows too.",
        )
