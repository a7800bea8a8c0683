"""Uploading a file: in one request, or in parts when it is large, which goes on where it was when something breaks."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer

from knossosd.cli.client import Server
from knossosd.cli.display import Display
from knossosd.cli.exits import Exit, Stop
from knossosd.conversion.digest import digest_file
from knossosd.settings import MIB

LARGE = 64 * MIB
"""Bytes from which a file is sent in parts."""

TRIES = 8
PAUSE = 1.0
"""Seconds before the second try of a request; twice as many before each further one."""

WAIT = 25
"""Seconds that the server may wait with its answer until the upload is finished."""

Advance = Callable[[int], None]


def run(path: Path, server: Server, *, quiet: bool) -> None:
    """Upload the file at `path` and print its link."""
    if not path.is_file():
        raise Stop(Exit.INVALID, f"There is no file {path}.")
    with Display(quiet) as display:
        link = upload(server, path, path.name, display)
    typer.echo(link)


def upload(server: Server, path: Path, filename: str, display: Display) -> str:
    """Upload the file at `path`, to be called `filename`; returns its link."""
    size = path.stat().st_size

    def advance(done: int) -> None:
        display.files([{"stage": "uploading", "file": filename, "done": done, "total": size}])

    display.log_line(f"INFO: Uploading {filename}")
    link = server.upload(path, filename, advance) if size < LARGE else _in_parts(server, path, filename, advance)
    display.files([])
    return link


def _in_parts(server: Server, path: Path, filename: str, advance: Advance) -> str:
    """Whoever does the same again, after whatever broke, sends only what is missing."""
    upload = server.begin_upload(filename, path.stat().st_size, digest_file(path).sha256)
    for _ in range(TRIES):
        _send_missing(server, upload, path, advance)
        outcome = _persistently(lambda: server.finish_upload(upload))
        while outcome.get("state") == "FINISHING":
            outcome = _persistently(lambda: server.upload_status(upload, WAIT))
        if outcome.get("state") == "DONE":
            return str(outcome["url"])
        if outcome.get("state") == "FAILED":
            break
    reasons = [str(error["message"]) for error in outcome.get("errors", [])] or [str(outcome.get("message", ""))]
    raise Stop(Exit.FAILED, f"{filename} could not be uploaded: {' '.join(reasons)}")


def _send_missing(server: Server, upload: dict[str, Any], path: Path, advance: Advance) -> None:
    """Send the parts that the server does not have yet. One that comes damaged is missing the next time as well."""
    missing = _persistently(lambda: server.upload_status(upload)).get("missing", [])
    sent = upload["parts"] - len(missing)
    with path.open("rb") as file:
        for number in missing:
            file.seek(number * upload["part_size"])
            part = file.read(upload["part_size"])
            _persistently(partial(server.send_part, upload, number, part))
            sent += 1
            advance(min(sent * upload["part_size"], upload["size"]))


def _persistently(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer, although the server may be away for a while."""
    for number in range(TRIES):
        try:
            return ask()
        except Stop as stop:
            if stop.code is not Exit.UNREACHABLE:
                raise
            time.sleep(PAUSE * 2**number)
    return ask()
