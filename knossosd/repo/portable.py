"""Paths of files in archives: which lead elsewhere than they seem to, and which of them Windows cannot have.

Players unpack on Windows, and with programs that look at names less closely than 7-Zip does.
"""

import re
import unicodedata

from knossosd.repo.names import RESERVED, UNPRINTABLE, is_inside, tidy_path

PART_LIMIT = 255
"""Bytes of one name in a path, the most that file systems take."""

USUAL = r"\w()+,!#%&'@\[\]{}~=;-"
PLAIN = re.compile(
    rf"(?:(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:[ ./]|\Z))[ .{USUAL}]*[{USUAL}](?:/|\Z))+(?<!/)",
    re.ASCII | re.IGNORECASE,
)
"""Paths that need no closer look, as nearly all are."""

CHANGED = re.compile(r'[<>"|?*]|[ .](?=/|\Z)')
"""What Windows cannot have in a name, so that programs there leave it out or write something else."""


def is_plain(path: str, max_length: float) -> bool:
    """Whether the path is tidy, safe and portable at first sight, as nearly all are."""
    return len(path) <= min(max_length, PART_LIMIT) and PLAIN.fullmatch(path) is not None


def why_refused(path: str, max_length: float) -> str | None:
    """What makes a path unusable, None when it can be used. `max_length` is in characters as Windows counts them."""
    parts = tidy_path(path).split("/")
    if parts == [""]:
        return "no name at all"
    if UNPRINTABLE.search(path):
        return "with characters that are no text"
    if path.startswith("/") or not is_inside(path):
        return "leading out of the mod's folder"
    if any(not part.strip(" .") for part in parts):
        return "with a part of nothing but dots or spaces"
    if ":" in path:
        return "with a colon, which on Windows means a drive or a hidden stream"
    if any(RESERVED.fullmatch(part) for part in parts):
        return "a device on Windows"
    if any(len(part.encode()) > PART_LIMIT for part in parts) or _length_on_windows(path) > max_length:
        return "too long"
    return None


def is_portable(path: str) -> bool:
    """Whether the file has the same name on Windows."""
    return not CHANGED.search(path)


def on_windows(path: str) -> str:
    """What the path comes to on Windows, in one spelling for all that mean the same file there or on macOS."""
    if CHANGED.search(path):
        path = "/".join(re.sub(r'[<>"|?*]', "_", part).rstrip(" .") for part in path.split("/"))
    return path.casefold() if path.isascii() else unicodedata.normalize("NFC", path).casefold()


def _length_on_windows(path: str) -> int:
    return len(path.encode("utf-16-le")) // 2
