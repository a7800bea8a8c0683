"""What all programs have logged, in order of time, and readable.

A program's file and those that it was rotated to (`web_0.log.2`, `web_0.log.1`, `web_0.log`) are read as one. Our own
lines are JSON. Valkey and supervisord write lines of their own, in local time. A line that is neither, such as the
last words of an interpreter, stands where it stood in its file, and is shown like a warning.
"""

import heapq
import json
import logging
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from knossosd.cli.display import printable

LINES = 200
"""Lines that are shown when nobody says how many."""

TICK = 0.3
"""Seconds between two looks for new lines."""

VALKEY = re.compile(r"\d+:[A-Z] (\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) ([.*#-]) (.*)")
VALKEY_TIME = "%d %b %Y %H:%M:%S.%f"
SUPERVISORD = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([A-Z]{4}) (.*)")
SUPERVISORD_TIME = "%Y-%m-%d %H:%M:%S,%f"
LEVELS = logging.getLevelNamesMapping() | {
    ".": logging.DEBUG, "-": logging.INFO, "*": logging.INFO, "#": logging.WARNING,
    "BLAT": logging.DEBUG, "TRAC": logging.DEBUG, "DEBG": logging.DEBUG,
    "WARN": logging.WARNING, "ERRO": logging.ERROR, "CRIT": logging.CRITICAL,
}  # fmt: skip
"""How we, Valkey and supervisord call the levels."""

COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


@dataclass(slots=True)
class Entry:
    """What somebody logged: when (epoch seconds), how grave it is, and about which ticket.

    `place` is the time that it is sorted by: a clock may be set back, and the file knows better.
    """

    time: float
    level: int
    ticket: int | None
    who: str
    text: str
    place: float = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shown: all about the ticket, or about everything, from `level` on."""

    ticket: int | None
    level: int

    def __contains__(self, entry: Entry) -> bool:
        return entry.level >= self.level and self.ticket in (None, entry.ticket)


def show(folder: Path, wanted: Wanted, *, lines: int | None, follow: bool) -> None:
    """Print the newest entries of the logs in `folder` that are `wanted`, `lines` of them; unless that is said, all of
    a ticket and `LINES` otherwise. With `follow`, go on until Ctrl-C."""
    if lines is None and wanted.ticket is None:
        lines = LINES
    streams = _Streams(folder)
    for entry in deque((entry for entry in streams.new() if entry in wanted), maxlen=lines):
        _print(entry)
    with suppress(KeyboardInterrupt):
        while follow:
            time.sleep(TICK)
            for entry in streams.new():
                if entry in wanted:
                    _print(entry)


class _Streams:
    """All logs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._streams: dict[Path, _Stream] = {}

    def new(self) -> Iterator[Entry]:
        """What has been logged since the last call, in order of time."""
        for path in self._folder.glob("*.log"):
            if path not in self._streams:
                with suppress(FileNotFoundError):  # it is just being rotated
                    self._streams[path] = _Stream(path)
        return heapq.merge(*(stream.new() for stream in self._streams.values()), key=lambda entry: entry.place)


class _Stream:
    """The log of one program, which may be rotated under our eyes. Raises FileNotFoundError when there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._older = sorted(path.parent.glob(f"{path.name}.*"), key=_rotation)
        self._rest = b""
        self._time = 0.0

    def new(self) -> Iterator[Entry]:
        """What has been logged since the last call. No entry has its place before the one that precedes it."""
        entry: Entry | None = None
        goes_on = False
        for line in self._lines():
            ours = _our_entry(line)
            head = ours or _foreign_entry(line, self._path.stem)
            if entry and goes_on and not head:
                entry.text += f"\n{line}"
                continue
            if head:
                self._time = max(self._time, head.time)
            if entry:
                yield self._placed(entry)
            entry = head or Entry(self._time, logging.WARNING, None, self._path.stem, line)
            entry.place = self._time
            goes_on = not ours  # ours are one line each
        if entry:
            yield self._placed(entry)

    def _placed(self, entry: Entry) -> Entry:
        """What is before all lines that say a time comes with the first of them, or when the file was written."""
        if not entry.time:
            entry.time = entry.place = self._time or os.fstat(self._file.fileno()).st_mtime
        return entry

    def _lines(self) -> Iterator[str]:
        for chunk in self._chunks():
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines if line)

    def _chunks(self) -> Iterator[bytes]:
        """The bytes of all files, as if they were one."""
        while self._older:
            with suppress(FileNotFoundError):
                yield self._older.pop().read_bytes()
        yield self._file.read()
        while not self._is_current():
            yield self._file.read()  # what was written before it was rotated
            self._file.close()
            self._file = self._path.open("rb")
            yield self._file.read()

    def _is_current(self) -> bool:
        """Whether the file is still the one that has the name, and was not emptied."""
        try:
            named = self._path.stat()
        except FileNotFoundError:  # it is just being rotated
            return True
        return os.path.samestat(named, os.fstat(self._file.fileno())) and named.st_size >= self._file.tell()


def _rotation(path: Path) -> int:
    """How often a file was rotated."""
    number = path.suffix[1:]
    return int(number) if number.isdecimal() else 0


def _our_entry(line: str) -> Entry | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        return Entry(
            datetime.fromisoformat(fields["time"]).timestamp(),
            LEVELS[fields["level"]],
            fields.get("ticket"),
            f"{fields['process']}[{fields['pid']}]",
            f"{fields['logger']}: {fields['message']}" + (f"\n{fields['trace']}" if "trace" in fields else ""),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _foreign_entry(line: str, who: str) -> Entry | None:
    for pattern, time_format in ((VALKEY, VALKEY_TIME), (SUPERVISORD, SUPERVISORD_TIME)):
        if found := pattern.fullmatch(line):
            when = datetime.strptime(found[1], time_format).astimezone()
            return Entry(when.timestamp(), LEVELS.get(found[2], logging.INFO), None, who, found[3])
    return None


def _print(entry: Entry) -> None:
    when = datetime.fromtimestamp(entry.time, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    about = "" if entry.ticket is None else f"ticket {entry.ticket}  "
    text = printable(entry.text).replace("\n", "\n    ")
    line = f"{when}  {logging.getLevelName(entry.level):8}  {entry.who}  {about}{text}"
    typer.echo(typer.style(line, COLOURS.get(entry.level)))
