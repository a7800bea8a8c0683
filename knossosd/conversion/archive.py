"""An archive's files with their checksums.

Archives are not unpacked to disk: 7-Zip lists them, then streams all their files in the order of the listing, and the
stream is cut by the listed sizes. That takes no disk and little memory, and no name in an archive can do harm. Only
when a listing has links or other special entries, hides sizes, or does not match the stream, the archive is unpacked
into a fresh folder, where nothing but regular files is looked at. Tars are read as tars, compressed or not.

The kind of an archive is decided by its content; its name is only used to talk about it.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from knossosd.conversion import complaints
from knossosd.conversion.digest import CHUNK, Digester, digest_file, read_chunks
from knossosd.conversion.listing import Entry, Listing
from knossosd.conversion.members import StreamMismatch, digest_members
from knossosd.conversion.sevenzip import Check, Ended, SevenZip
from knossosd.conversion.tarball import BLOCK, ChunkReader, is_tar, read_tar
from knossosd.faults import Code, Finding, InputFault
from knossosd.repo.contents import Digest, Member
from knossosd.repo.names import examples, is_inside, tidy_path

COMPRESSED_STREAMS = {"gzip", "bzip2", "xz", "zstd", "Z", "lzma", "lzma86"}
"""Formats that hold one stream, which may be a tar."""

PROGRAMS = {"PE", "ELF", "MachO", "COFF", "TE", "Mub"}
"""Formats of programs, whose sections 7-Zip lists; an installer is listed as the archive inside it."""

DISK_IMAGES = (".hfs", ".hfsx", ".apfs")
"""What the one partition of a disk image for macOS is called; the files are inside it."""

Advance = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What reading one archive may cost: bytes it unpacks to, number of its files, seconds."""

    max_unpacked_size: int
    max_members: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Inspection:
    """The regular files in an archive, in its order, and what a modder should know about it."""

    members: tuple[Member, ...]
    warnings: tuple[Finding, ...]


def inspect(
    path: Path,
    name: str,
    *,
    sevenzip: SevenZip,
    limits: ArchiveLimits,
    workspace: Path,
    advance: Advance,
    check: Check,
) -> Inspection:
    """Read the archive at `path`, which the document calls `name`.

    `workspace` is a folder for what has to be unpacked. `advance` is told the unpacked bytes so far and, when it is
    known, their total; `check` raises when the conversion was called off. Raises `InputFault` when the archive cannot
    be used and `ServerFault` when this machine cannot read it.
    """
    if path.stat().st_size == 0:
        raise InputFault(Code.ARCHIVE_EMPTY, f"{name} is an empty file.", complaints.PACK_AGAIN)
    return _Inspector(path, name, sevenzip, limits, workspace, advance, check).inspect()


@dataclass(slots=True)
class _Inspector:
    path: Path
    name: str
    sevenzip: SevenZip
    limits: ArchiveLimits
    workspace: Path
    advance: Advance
    check: Check
    warnings: list[Finding] = field(default_factory=list)

    def inspect(self) -> Inspection:
        if is_tar(next(read_chunks(self.path))[:BLOCK]):
            members = self._read_tar(ChunkReader(self._checked(read_chunks(self.path))))
        else:
            listing = self._list()
            if listing.type in COMPRESSED_STREAMS:
                members = self._read_compressed(listing)
            elif _is_disk_image(listing):
                return self._inspect_inside()
            else:
                members = self._read_listed(listing)
        members = self._usable(members)
        if not members:
            raise complaints.empty(self.name)
        return Inspection(tuple(members), tuple(self.warnings))

    def _list(self) -> Listing:
        listing, ended = self.sevenzip.list(self.path, timeout=self.limits.timeout, check=self.check)
        if any(entry.is_encrypted for entry in listing.entries):
            raise complaints.encrypted(self.name)
        if listing.is_split:
            raise complaints.incomplete(self.name)
        if ended.code > 1:
            raise complaints.explain(ended, listing.remarks, self.name)
        if listing.type in PROGRAMS:
            raise complaints.unreadable(self.name)
        if listing.remarks:
            self._warn(
                Code.ARCHIVE_WARNING,
                f"7-Zip is not happy with {self.name}: {examples(listing.remarks)}.",
                "Everything in it could be read, but better pack it again.",
            )
        if listing.type not in COMPRESSED_STREAMS:  # their sizes are guesses, so what comes is counted
            self._hold_to_limits(len(listing.entries), sum(entry.size or 0 for entry in listing.files))
        return listing

    def _hold_to_limits(self, members: int, size: int) -> None:
        if members > self.limits.max_members:
            raise InputFault(
                Code.ARCHIVE_TOO_LARGE,
                f"{self.name} holds {members} files; at most {self.limits.max_members} are accepted.",
                "Split it into several archives, or pack the files into a .vp.",
            )
        if size > self.limits.max_unpacked_size:
            raise InputFault(
                Code.ARCHIVE_TOO_LARGE,
                f"{self.name} unpacks to more than {self.limits.max_unpacked_size} bytes.",
                "Split it into several archives.",
            )

    def _read_listed(self, listing: Listing) -> list[Member]:
        files = listing.files
        sizes = [entry.size for entry in files if entry.size is not None]
        if len(sizes) < len(files) or any(entry.is_special for entry in files):
            return self._read_unpacked(files)
        total = sum(sizes)
        with self.sevenzip.stream(self.path, timeout=self.limits.timeout, check=self.check) as run:
            try:
                digests = digest_members(run.chunks(), sizes, lambda done: self.advance(done, total))
                self._expect_success(run.wait(), listing)
                return [Member(entry.path, digest) for entry, digest in zip(files, digests, strict=True)]
            except StreamMismatch:
                pass  # damaged, or the sizes lie: unpacking shows which
        return self._read_unpacked(files)

    def _read_unpacked(self, files: list[Entry]) -> list[Member]:
        """Unpack everything, and look at the regular files on disk."""
        special = {entry.path for entry in files if entry.is_special}
        folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=self.workspace))
        try:
            with self.sevenzip.extract(
                self.path, folder, timeout=self.limits.timeout, check=lambda: self._watch(folder)
            ) as run:
                ended = run.wait()
            self._watch(folder)
            found = {str(path.relative_to(folder)): path for path in _regular_files(folder)}
            # 7-Zip also complains about links that it would not make; those are left out anyway.
            if complaints.is_damage(ended) or not all(
                _is_whole(entry, found, ended) for entry in files if not entry.is_special
            ):
                raise complaints.explain(ended, [], self.name)
            self._leave_out(sorted(special))
            done, members = 0, []
            for path in found.keys() - special:
                self.check()
                members.append(Member(path, digest_file(found[path])))
                done += members[-1].digest.size
                self.advance(done, None)
            order = {entry.path: index for index, entry in enumerate(files)}
            return sorted(members, key=lambda member: (order.get(member.path, len(order)), member.path))
        finally:
            shutil.rmtree(folder)

    def _watch(self, folder: Path) -> None:
        """Listed sizes may lie, so look at what 7-Zip really writes."""
        self.check()
        sizes = [path.lstat().st_size for path in _regular_files(folder)]
        self._hold_to_limits(len(sizes), sum(sizes))

    def _read_compressed(self, listing: Listing) -> list[Member]:
        size = listing.files[0].size if listing.files else None
        with self.sevenzip.stream(self.path, timeout=self.limits.timeout, check=self.check) as run:
            stream = ChunkReader(self._counted(run.chunks(), size))
            if is_tar(stream.peek(BLOCK)):
                members = self._read_tar(stream)
                while stream.read(CHUNK):  # what pads a tar has to be read for 7-Zip to check the whole
                    pass
            else:
                members = [Member(self._inner_name(listing), _digest(stream))]
            ended = run.wait()
        self._expect_success(ended, listing)
        return members

    def _read_tar(self, stream: ChunkReader) -> list[Member]:
        members, left_out = read_tar(stream, self._advance_in_tar, self.limits.max_members)
        self._leave_out(left_out)
        return members

    def _advance_in_tar(self, done: int) -> None:
        """The files of a tar may be larger than the tar: sparse ones have holes."""
        self.check()
        self._hold_to_limits(0, done)
        self.advance(done, None)

    def _inner_name(self, listing: Listing) -> str:
        """The name that the compressed file remembers, or else its own without the last ending."""
        listed = listing.files[0].path if listing.files else ""
        made_up = {"", self.path.name, self.path.stem, self.path.name + "~"}
        name = PurePosixPath(self.name)
        return listed if listed not in made_up else name.stem if name.suffix else name.name

    def _inspect_inside(self) -> Inspection:
        """Unpack the one partition of a disk image and read that instead."""
        inside = self.workspace / "disk-image"
        with self.sevenzip.stream(self.path, timeout=self.limits.timeout, check=self.check) as run:
            with inside.open("wb") as file:
                for chunk in self._counted(run.chunks(), None):
                    file.write(chunk)
            self._expect_success(run.wait(), Listing())
        try:
            return inspect(
                inside,
                self.name,
                sevenzip=self.sevenzip,
                limits=self.limits,
                workspace=self.workspace,
                advance=self.advance,
                check=self.check,
            )
        finally:
            inside.unlink()

    def _usable(self, members: list[Member]) -> list[Member]:
        """The members with tidy names; of two with the same name the later one counts, as in unpacking."""
        refused = [path for path, _ in members if not _is_usable(path)]
        if refused:
            raise InputFault(
                Code.MEMBER_NAME_REFUSED,
                f"{self.name} holds files with names that lead out of the mod's folder or cannot be used: "
                f"{examples([ascii(path)[1:-1] for path in refused])}.",
                "Pack the archive with plain relative names.",
            )
        by_path = {tidy_path(path): digest for path, digest in members}
        if len(by_path) < len(members):
            self._warn(
                Code.MEMBER_LEFT_OUT,
                f"{self.name} holds {len(members) - len(by_path)} files twice; the later ones count.",
                "Pack the archive again, each file once.",
            )
        return [Member(path, digest) for path, digest in by_path.items()]

    def _leave_out(self, names: list[str]) -> None:
        if names:
            self._warn(
                Code.MEMBER_LEFT_OUT,
                f"{self.name} holds links or other special entries, which were left out: {examples(names)}.",
                "Pack the files themselves in place of links: Windows has no such entries.",
            )

    def _warn(self, code: Code, message: str, hint: str) -> None:
        self.warnings.append(Finding(code, message, hint))

    def _expect_success(self, ended: Ended, listing: Listing) -> None:
        if ended.code not in (0, 1):
            raise complaints.explain(ended, listing.remarks, self.name)

    def _checked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.check()
            yield chunk

    def _counted(self, chunks: Iterator[bytes], total: int | None) -> Iterator[bytes]:
        """The chunks, as long as they are no more than what may be unpacked."""
        done = 0
        for chunk in chunks:
            done += len(chunk)
            self._hold_to_limits(0, done)
            self.advance(done, total)
            yield chunk


def _is_whole(entry: Entry, found: dict[str, Path], ended: Ended) -> bool:
    """Whether the entry was unpacked; one that 7-Zip could not unpack may have left an empty file."""
    if entry.path not in found:
        return False
    return ended.code in (0, 1) or entry.size in (None, found[entry.path].lstat().st_size)


def _is_disk_image(listing: Listing) -> bool:
    return listing.type == "Dmg" and len(listing.files) == 1 and listing.files[0].path.endswith(DISK_IMAGES)


def _is_usable(path: str) -> bool:
    return (
        bool(tidy_path(path))
        and not path.startswith("/")
        and is_inside(path)
        and "\ufffd" not in path
        and _is_text(path)
    )


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(stream: ChunkReader) -> Digest:
    digester = Digester()
    while chunk := stream.read(CHUNK):
        digester.update(chunk)
    return digester.digest()


def _regular_files(folder: Path) -> Iterator[Path]:
    """The regular files below `folder`; links are never followed."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
