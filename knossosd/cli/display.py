"""What is shown on the terminal: tables, and the progress of a conversion. That is a bar for the whole and one for each
running archive, with the log above.

When standard error is no terminal, only the log is written, a plain line each.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from knossosd.conversion.observer import FileProgress, Level, Measure, Snapshot, Stage

FILE_WIDTH = 200
"""Columns of a table that goes into a file or a pipe."""

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal, or cannot be shown on one."""

STYLES = {"WARNING": "yellow", "ERROR": "red"}


class Display:
    """A context manager. `quiet` shows nothing but what `say` says."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[size]}"),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self._whole = self._bars.add_task("everything", total=None, size="")
        self._files: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def log_line(self, line: str) -> None:
        """Show a line `<LEVEL>: <message>`."""
        if not self._quiet:
            level = line.partition(":")[0]
            self.say(Text(line, STYLES.get(level, "")))

    def say(self, text: Any) -> None:
        """Show something for people, whatever the verbosity."""
        self.console.print(text, soft_wrap=True)

    def progress(self, fraction: float) -> None:
        """Show how far the whole is, 0 to 1."""
        self._bars.update(self._whole, total=100, completed=fraction * 100)

    def files(self, running: Iterable[dict[str, Any]]) -> None:
        """Show the running archives, as the `file` event has them, and no others."""
        shown = {f"{file['stage']} {file['file']}": file for file in running}
        for name in self._files.keys() - shown.keys():
            self._bars.remove_task(self._files.pop(name))
        for name, file in shown.items():
            if name not in self._files:
                self._files[name] = self._bars.add_task(name, total=None, size="")
            self._bars.update(self._files[name], total=file["total"], completed=file["done"], size=_size(file))

    def findings(self, title: str, findings: Iterable[Any], style: str) -> None:
        """Show errors or warnings as a list."""
        lines = [str(finding) for finding in findings]
        if lines:
            self.say(Text(f"{title}:", f"bold {style}"))
            for line in lines:
                self.say(Text(f"  • {line}"))

    def question(self, image_url: str) -> str | None:
        """Ask for what a captcha shows. None when nobody is there to answer."""
        if not self.console.is_interactive or not self.console.is_terminal:
            return None
        self._bars.stop()
        try:
            return self.console.input(f"The host asks what this picture shows: {image_url}\n> ") or None
        except EOFError:
            return None
        finally:
            self._bars.start()


class ForegroundObserver:
    """The observer of a conversion that runs in this process."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def log(self, level: Level, message: str) -> None:
        self._display.log_line(f"{level.value}: {message}")

    def planned(self, files: Sequence[FileProgress]) -> None:
        """The bars come with the archives that run."""

    def progress(self, snapshot: Snapshot) -> None:
        self._display.progress(snapshot.fraction)
        self._display.files(
            {"stage": one.stage.value, "file": one.file, "done": one.done, "total": one.total, "rate": one.rate}
            for one in snapshot.running
        )

    def finished(self, file: FileProgress) -> None:
        if file.stage is Stage.DONE:
            self._display.log_line(f"INFO: {file.file} is done")

    def measured(self, measure: Measure, amount: float) -> None:
        """Nobody asks what a conversion in the foreground costs."""

    def ask(self, image_url: str) -> str | None:
        return self._display.question(image_url)

    def check(self) -> None:
        """Nobody but Ctrl-C calls off a conversion in the foreground."""


def _size(file: dict[str, Any]) -> str:
    of_total = f" of {decimal(file['total'])}" if file["total"] else ""
    rate = f", {decimal(int(file['rate']))}/s" if file.get("rate") else ""
    return f"{decimal(file['done'])}{of_total}{rate}"


def moment(seconds: float) -> str:
    """A time (epoch seconds) as the logs have it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def printable(text: str) -> str:
    """The text as a terminal may have it: what would steer it is shown as numbers."""
    return UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal, or as a file may have it. What stands in it is shown as it is: a mod's
    title is no markup."""
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)
