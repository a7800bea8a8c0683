"""Reading tars, compressed or not, and single compressed files."""

from pathlib import PurePosixPath

from knossosd.conversion.digest import CHUNK, Digester, read_chunks
from knossosd.conversion.errand import checked
from knossosd.conversion.listing import Listing
from knossosd.conversion.reading import Reading
from knossosd.conversion.sevenzip import Run
from knossosd.conversion.tarball import BLOCK, ChunkReader, is_tar, read_tar
from knossosd.faults import Code
from knossosd.repo.contents import Digest, Member
from knossosd.repo.names import examples

COMPRESSED_STREAMS = {"gzip", "bzip2", "xz", "zstd", "Z", "lzma", "lzma86"}
"""Formats that hold one stream, which may be a tar."""


def is_plain_tar(reading: Reading) -> bool:
    """Whether the file is a tar that is not compressed."""
    return is_tar(next(read_chunks(reading.path))[:BLOCK])


def read_plain_tar(reading: Reading) -> list[Member]:
    """The files of a tar that is not compressed."""
    return _read_tar(reading, ChunkReader(checked(read_chunks(reading.path), reading.check)))


def read_compressed(reading: Reading, listing: Listing, run: Run) -> list[Member]:
    """The files of a compressed tar, or the one file that was compressed, from a `run` that streams it."""
    size = listing.files[0].size if listing.files else None
    stream = ChunkReader(reading.counted(run.chunks(), size))
    if is_tar(stream.peek(BLOCK)):
        members = _read_tar(reading, stream)
    else:
        members = [Member(_inner_name(reading, listing), _digest(reading, stream))]
    reading.expect_success(run.wait(), listing)
    return members


def _read_tar(reading: Reading, stream: ChunkReader) -> list[Member]:
    def advance(entries: int, done: int, size: int) -> None:
        """The files of a tar may be larger than the tar: sparse ones have holes."""
        reading.check()
        reading.hold_to_limits(entries, done, size)
        reading.advance(done, None)

    tar = read_tar(stream, advance)
    reading.leave_out(tar.left_out)
    if tar.remarks:
        reading.warn(
            Code.ARCHIVE_WARNING,
            f"The tar of {reading.name} is odd: {examples(tar.remarks)}.",
            "All files that could be seen were read, but better pack it again.",
        )
    return tar.members


def _inner_name(reading: Reading, listing: Listing) -> str:
    """The name that the compressed file remembers, or else its own without the last ending."""
    listed = listing.files[0].path if listing.files else ""
    if listed not in ("", reading.path.name, reading.path.stem, reading.path.name + "~"):
        return listed
    reading.name_counts = True
    name = PurePosixPath(reading.name)
    return name.stem if name.suffix else name.name


def _digest(reading: Reading, stream: ChunkReader) -> Digest:
    digester = Digester()
    while chunk := stream.read(CHUNK):
        digester.update(chunk)
        reading.hold_to_limits(1, digester.size, digester.size)
    return digester.digest()
