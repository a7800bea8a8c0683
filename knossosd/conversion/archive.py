"""An archive's files with their checksums: begin here.

Archives are not unpacked to disk: 7-Zip lists them, then streams all their files in the order of the listing, and the
stream is cut by the listed sizes. That takes no disk and little memory, and no name in an archive can do harm. Only
when a listing has links or other special entries, hides sizes, or does not match the stream, the archive is unpacked
into a fresh folder, where nothing but regular files is looked at. Tars are read as tars, compressed or not.

The kind of an archive is decided by its content; its name is only used to talk about it.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from knossosd.conversion import complaints
from knossosd.conversion.compressed import COMPRESSED_STREAMS, is_plain_tar, read_compressed, read_plain_tar
from knossosd.conversion.errand import Errand
from knossosd.conversion.listing import Listing, ListingTooLong
from knossosd.conversion.members import StreamMismatch
from knossosd.conversion.reading import Advance, Reading, Tools
from knossosd.conversion.sevenzip import Run
from knossosd.conversion.shares import divide
from knossosd.conversion.streamed import Stream, digest_shares, streaming
from knossosd.conversion.unpacked import read_unpacked
from knossosd.conversion.usable import usable
from knossosd.conversion.zipdirectory import Unusual, find_disagreements
from knossosd.faults import Code, Finding, InputFault, time_in_words
from knossosd.repo.contents import Member
from knossosd.repo.names import examples

INSPECTOR_VERSION = 2
"""To be raised by whoever lets an archive be read in another way than before: what was read before counts no more."""

PLAYABLE = {"7z", "zip", "Rar", "Rar5"}
"""Formats that players' clients open."""

PROGRAMS = {"PE", "ELF", "MachO", "COFF", "TE", "Mub"}
"""Formats of programs, whose sections 7-Zip lists; an installer is listed as the archive inside it."""

DISK_IMAGE = "Dmg"
DISK_IMAGES = (".hfs", ".hfsx", ".apfs")
"""What the one partition of a disk image for macOS is called; the files are inside it."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The regular files in an archive, in its order, and what a modder should know about it.

    `name_counts` when the same archive under another name would give another inspection.
    """

    members: tuple[Member, ...]
    warnings: tuple[Finding, ...]
    name_counts: bool = False


def inspect(path: Path, name: str, *, tools: Tools, workspace: Path, advance: Advance, errand: Errand) -> Inspection:
    """Read the archive at `path`, which the document calls `name`.

    `workspace` is a folder for what has to be unpacked. `advance` is told the unpacked bytes so far and, when it is
    known, their total; `errand` is what the reading is a part of. Raises `InputFault` when the archive cannot be used
    and `ServerFault` when this machine cannot read it.
    """
    size = path.stat().st_size
    if size == 0:
        raise InputFault(Code.ARCHIVE_EMPTY, f"{name} is an empty file.", complaints.PACK_AGAIN)
    limit = tools.limits.timeout
    limited = errand.limited(limit, lambda: complaints.too_slow(name, f"longer than {time_in_words(limit)}"))
    with limited as part, tools.cores.seat():
        reading = Reading(path, name, size, tools, workspace, advance, part.check)
        members = usable(reading, _read(reading))
    if not members:
        raise complaints.empty(name)
    return Inspection(tuple(members), tuple(reading.warnings), reading.name_counts)


def _read(reading: Reading) -> list[Member]:
    if is_plain_tar(reading):
        return read_plain_tar(reading)
    cores = reading.tools.cores.share()
    # Nearly every archive is streamed, so 7-Zip begins with that while it lists.
    with (
        reading.sevenzip.stream(reading.path, cores=cores, check=reading.check) as run,
        streaming(reading, run) as stream,
    ):
        listing = _list(reading, stream)
        if listing.type in COMPRESSED_STREAMS:
            return read_compressed(reading, listing, run)
        if _is_disk_image(listing):
            return _read_inside(reading, run)
        files = listing.files
        if not any(file.size is None or file.is_special for file in files):
            try:
                shares = divide(listing, cores)
                if shares:
                    stream.leave()
                    digests = digest_shares(reading, listing, shares)
                else:
                    digests = stream.digests(listing)
                return [Member(file.path, digest) for file, digest in zip(files, digests, strict=True)]
            except StreamMismatch:
                pass  # damaged, or the sizes lie: unpacking shows which
        stream.leave()
        return read_unpacked(reading, files)


def _list(reading: Reading, stream: Stream) -> Listing:
    def follow(listing: Listing) -> None:
        if listing.type not in COMPRESSED_STREAMS and listing.type != DISK_IMAGE:
            stream.follow(listing)

    max_members = reading.tools.limits.max_members
    try:
        listing, ended = reading.sevenzip.list(
            reading.path, check=reading.check, max_entries=max_members, follow=follow
        )
    except ListingTooLong as error:
        raise complaints.too_large(
            f"{reading.name} holds more than {max_members} files, or names without end.",
            "Split it into several archives.",
        ) from error
    if any(entry.is_encrypted for entry in listing.entries):
        raise complaints.encrypted(reading.name)
    if listing.is_split:
        raise complaints.incomplete(reading.name)
    if ended.code > 1:
        raise complaints.explain(ended, listing.remarks, reading.name)
    if listing.type in PROGRAMS:
        raise complaints.unreadable(reading.name)
    if listing.remarks:
        reading.warn(
            Code.ARCHIVE_WARNING,
            f"7-Zip is not happy with {reading.name}: {examples(listing.remarks)}.",
            "Everything in it could be read, but better pack it again.",
        )
    if listing.offset and listing.type in PLAYABLE:
        reading.warn(
            Code.ARCHIVE_WARNING,
            f"{reading.name} begins with {listing.offset} bytes of something else, as programs do.",
            "Pack it as plain .7z or .zip: not every client finds an archive behind something else.",
        )
    if listing.type == "zip":
        _hold_to_one_story(reading, len(listing.entries))
    if listing.type not in COMPRESSED_STREAMS:  # their sizes are guesses, so what comes is counted
        sizes = [entry.size or 0 for entry in listing.files]
        reading.hold_to_limits(len(listing.entries), sum(sizes), max(sizes, default=0))
    return listing


def _hold_to_one_story(reading: Reading, count: int) -> None:
    """Refuse a zip that becomes other files with other programs."""
    try:
        disagreements = find_disagreements(reading.path, count, reading.check)
    except Unusual as unusual:
        reading.warn(
            Code.ARCHIVE_WARNING,
            f"{reading.name} is an odd zip: {unusual}. Not every program will find the same files in it.",
            "Pack it again.",
        )
        return
    if disagreements:
        raise InputFault(
            Code.ARCHIVE_CORRUPT,
            f"{reading.name} says two different things of what it holds: {examples(disagreements)}.",
            "Pack it again: one program would find other files in it than another.",
        )


def _is_disk_image(listing: Listing) -> bool:
    return listing.type == DISK_IMAGE and len(listing.files) == 1 and listing.files[0].path.endswith(DISK_IMAGES)


def _read_inside(reading: Reading, run: Run) -> list[Member]:
    """Unpack the one partition of a disk image and read that instead."""
    inside = reading.workspace / "disk-image"
    if reading.path == inside:  # images in images could go on for ever
        raise complaints.unreadable(reading.name)
    try:
        with inside.open("wb") as file:
            for chunk in reading.counted(run.chunks(), None):
                file.write(chunk)
        reading.expect_success(run.wait(), Listing())
        within = dataclasses.replace(reading, path=inside)
        members = _read(within)
        reading.name_counts |= within.name_counts
        return members
    finally:
        inside.unlink(missing_ok=True)
