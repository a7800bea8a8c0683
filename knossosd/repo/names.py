"""Names that are safe to use as files and folders, here and on the players' machines.

Players unpack on Windows, and Knossos.NET refuses to install a mod whose id is not one safe path component.
"""

import re
from collections.abc import Sequence

MAX_LENGTH = 120
"""Characters of one name: what the mod community's other server allows for ids and archive names."""

EXAMPLES = 3
"""Names that a message about many names tells."""

FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
RESERVED = re.compile(r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any ending."""

LONGEST_SHOWN = 120
"""Characters of a name in a message; what is said of it stands in front."""

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffd-\uffff]")
"""What is no text: control characters, what turns the reading direction, and what stands for no character."""

DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_safe_component(name: str) -> bool:
    """Whether `name` can be one folder or file on every system: no separators, no reserved or hidden names."""
    return (
        0 < len(name) <= MAX_LENGTH
        and not FORBIDDEN.search(name)
        and not RESERVED.fullmatch(name)
        and not name.startswith(".")
        and not name.endswith((" ", "."))
    )


def is_inside(path: str) -> bool:
    """Whether the relative `path` (parts separated by `/`, "" is the top itself) stays inside its folder."""
    return not ("\\" in path or CONTROL.search(path) or DRIVE.match(path)) and ".." not in path.split("/")


def tidy_path(path: str) -> str:
    """`path` without empty and `.` parts, so without slashes at its ends."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def join(folder: str, path: str) -> str:
    """`path` below `folder`, where "" is the top."""
    return f"{folder}/{path}" if folder else path


def examples(names: Sequence[str]) -> str:
    """The first few of `names`, for a message, and how many more there are."""
    more = len(names) - EXAMPLES
    return ", ".join(map(shown, names[:EXAMPLES])) + (f" and {more} more" if more > 0 else "")


def shown(name: str) -> str:
    """A name as it may stand in a message: not endless, and without characters that do something."""
    text = UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], name)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
