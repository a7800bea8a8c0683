"""What `7zz l -slt` prints, as data.

The listing is a head per level (a self-extracting archive has two levels, a split one too), then one block of
`Name = value` lines per entry. 7-Zip writes control characters in names as `_`, so a name never spans lines; comments
may, and stand in braces.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import NamedTuple

FIRST_ENTRY = b"\n----------\n"
HEADS = ("--", "----")
FIELD = re.compile(
    r"\n(?:(Path|Size|Folder|Attributes|Encrypted|Block) = (.*)"
    r"|(?:Symbolic Link|Hard Link|Copy Link) = .+"
    r"|(?:Alternate Stream|Anti) = \+)"
)
"""What is read of an entry, each field behind the end of a line; those without a name make it special."""


class Entry(NamedTuple):
    """One entry. `size` is None when the archive does not say; `block` names the solid block in a 7z that the entry is
    packed in; `is_special` is an entry that is no regular file or folder: a link, an alternate stream, a device."""

    path: str
    size: int | None
    is_folder: bool
    is_encrypted: bool
    is_special: bool
    block: str = ""


@dataclass(slots=True)
class Listing:
    """The listing of one archive. `type` is the innermost format; `remarks` are 7-Zip's warnings and errors."""

    type: str = ""
    is_split: bool = False
    is_solid: bool = False
    remarks: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def files(self) -> list[Entry]:
        """The entries that are no folders, in archive order."""
        return [entry for entry in self.entries if not entry.is_folder]


def parse_listing(pieces: Iterable[bytes]) -> Listing:
    """The listing that 7-Zip printed, in any pieces. Names that are not UTF-8 show as replacement characters."""
    listing = Listing()
    lines = _without_comments(pieces)
    head = mark = rest = b""
    for piece in lines:
        head, mark, rest = (head + piece).partition(FIRST_ENTRY)
        if mark:
            break
    _read_head(head.decode(errors="replace").split("\n"), listing)
    for text in _whole_blocks(chain([rest], lines)):
        listing.entries += _entries(text.decode(errors="replace"))
    return listing


def _without_comments(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, without the comments between them."""
    rest, inside = b"", False
    for piece in pieces:
        whole, end, rest = (rest + piece.replace(b"\r", b"")).rpartition(b"\n")
        text = whole + end
        if inside or text.startswith(b"{\n") or b"\n{\n" in text:
            text, inside = _outside(text, inside)
        yield text
    yield b"" if inside else rest


def _outside(text: bytes, inside: bool) -> tuple[bytes, bool]:
    """What of whole lines stands outside of comments, and whether the next line is inside of one."""
    kept = []
    for line in text.splitlines(keepends=True):
        if inside:
            inside = line != b"}\n"
        elif line == b"{\n":
            inside = True
        else:
            kept.append(line)
    return b"".join(kept), inside


def _whole_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same text in pieces that end where a block ends."""
    rest = b""
    for piece in pieces:
        blocks, _, rest = (rest + piece).rpartition(b"\n\n")
        yield blocks
    yield rest


def _read_head(lines: Iterable[str], listing: Listing) -> None:
    inside = remarking = False
    for line in lines:
        if line in HEADS:
            inside, remarking = True, False
        elif inside:
            name, equals, value = line.partition(" = ")
            if line in ("WARNINGS:", "ERRORS:"):
                remarking = True
            elif equals:
                remarking = False
                _note_property(name, value, listing)
            elif remarking and line:
                listing.remarks.append(line)


def _note_property(name: str, value: str, listing: Listing) -> None:
    if name == "Type":
        listing.type = value
        listing.is_split |= value == "Split"
    elif name == "Multivolume":
        listing.is_split |= value == "+"
    elif name == "Solid":
        listing.is_solid = value == "+"
    elif name in ("Warning", "Error"):
        listing.remarks.append(value)


def _entries(text: str) -> Iterator[Entry]:
    """The entries that whole blocks describe."""
    for block in text.split("\n\n"):
        # Of a name that stands twice the first counts, hence the turn.
        fields = dict(FIELD.findall("\n" + block)[::-1])
        if "Size" in fields:  # what stands behind the last entry is a summary
            yield _entry(fields)


def _entry(fields: dict[str, str]) -> Entry:
    """The entry with these fields; those that make it special have no name."""
    is_folder, is_special = _kind(fields.get("Attributes", ""), fields.get("Folder"))
    size = fields["Size"]
    return Entry(
        fields.get("Path", ""),
        int(size) if size.isdecimal() else None,
        is_folder,
        fields.get("Encrypted") == "+",
        (is_special or "" in fields) and not is_folder,
        fields.get("Block", ""),
    )


@cache
def _kind(attributes: str, folder: str | None) -> tuple[bool, bool]:
    """Whether an entry is a folder, and whether its attributes make it special.

    "D drwxr-xr-x": the attributes of Windows, then the mode of Unix, either of which may be missing.
    """
    windows = attributes.split(" ")[0]
    mode = next((word for word in attributes.split() if len(word) == len("drwxr-xr-x")), "-")
    return folder == "+" or "D" in windows, mode[0] not in "-d0" or "L" in windows
