"""What `7zz l -slt` prints, as data.

The listing is a head per level (a self-extracting archive has two levels, a split one too), then one block of
`Name = value` lines per entry. 7-Zip writes control characters in names as `_`, so a name never spans lines; comments
may, and stand in braces.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FIRST_ENTRY = "----------"
HEADS = ("--", "----")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `size` is None when the archive does not say; `special` is an entry that is no regular file or
    folder: a link, an alternate stream, a device."""

    path: str
    size: int | None
    is_folder: bool
    is_encrypted: bool
    is_special: bool


@dataclass(slots=True)
class Listing:
    """The listing of one archive. `type` is the innermost format; `remarks` are 7-Zip's warnings and errors."""

    type: str = ""
    is_split: bool = False
    remarks: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def files(self) -> list[Entry]:
        """The entries that are no folders, in archive order."""
        return [entry for entry in self.entries if not entry.is_folder]


def parse_listing(lines: Iterable[str]) -> Listing:
    """The listing that `lines`, without their line ends, print."""
    listing = Listing()
    rest = iter(lines)
    _read_head(rest, listing)
    listing.entries.extend(_entry(fields) for fields in _blocks(rest))
    return listing


def _read_head(lines: Iterator[str], listing: Listing) -> None:
    inside = remarking = False
    for line in lines:
        if line == FIRST_ENTRY:
            return
        if line in HEADS:
            inside, remarking = True, False
        elif line == "{":
            _skip_comment(lines)
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
    elif name in ("Warning", "Error"):
        listing.remarks.append(value)


def _blocks(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The fields of each entry, up to the empty line behind it."""
    fields: dict[str, str] = {}
    for line in lines:
        if line == "{":
            _skip_comment(lines)
        elif line:
            name, equals, value = line.partition(" = ")
            if not equals:
                name = name.removesuffix(" =")
            fields.setdefault(name, value)
        elif fields:
            if "Size" in fields:  # what stands behind the last entry is a summary
                yield fields
            fields = {}
    if "Size" in fields:
        yield fields


def _skip_comment(lines: Iterator[str]) -> None:
    for line in lines:
        if line == "}":
            return


def _entry(fields: dict[str, str]) -> Entry:
    # "D drwxr-xr-x": the attributes of Windows, then the mode of Unix, either of which may be missing.
    attributes = fields.get("Attributes", "")
    mode = next((word for word in attributes.split() if len(word) == len("drwxr-xr-x")), "-")
    is_folder = fields.get("Folder") == "+" or "D" in attributes.split(" ")[0]
    is_special = (
        mode[0] not in "-d0"
        or "L" in attributes.split(" ")[0]
        or any(fields.get(name) for name in ("Symbolic Link", "Hard Link", "Copy Link"))
        or fields.get("Alternate Stream") == "+"
        or fields.get("Anti") == "+"
    )
    size = fields.get("Size", "")
    return Entry(
        path=fields.get("Path", ""),
        size=int(size) if size.isdecimal() else None,
        is_folder=is_folder,
        is_encrypted=fields.get("Encrypted") == "+",
        is_special=is_special and not is_folder,
    )
