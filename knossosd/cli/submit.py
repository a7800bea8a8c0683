"""Sending a document to a server, watching the conversion, and retrieving what comes of it."""

import json
from pathlib import Path
from typing import Any

from rich.text import Text

from knossosd.cli.client import Server
from knossosd.cli.display import Display
from knossosd.cli.documents import local_files, read_document, replace_links, write_result
from knossosd.cli.exits import Exit, Stop
from knossosd.cli.upload import upload
from knossosd.settings import Settings


def run(source: Path, target: Path, server: Server, *, quiet: bool, cache: bool) -> None:
    """Convert the document `source` on the `server` and write the generated one to `target`.

    Local files that the document names are uploaded first. Without `cache`, the server fetches and reads all anew.
    """
    text, reading = read_document(source, Settings())
    with Display(quiet) as display:
        links = {url: upload(server, path, filename, display) for url, filename, path in local_files(reading)}
        ticket, token = server.submit(replace_links(text, links), cache=cache)
        display.say(Text(f"Ticket {ticket}: {server.url}/watch/{ticket}"))
        _watch(server, ticket, display)
    result = server.retrieve(ticket, token)
    display.findings("Warnings", map(_sentence, result.get("warnings", [])), "yellow")
    if not result["success"]:
        display.findings("Errors", map(_sentence, result.get("errors", [])), "red")
        raise Stop(Exit.FAILED, "The document was not converted.")
    write_result(target, json.loads(result["json"]))
    display.log_line(f"INFO: Wrote {target}")


def _watch(server: Server, ticket: int, display: Display) -> None:
    running: dict[str, dict[str, Any]] = {}
    for name, arguments in server.events(ticket):
        if name == "log_message":
            display.log_line(arguments[0])
        elif name == "progress":
            display.progress(arguments[0])
            display.files(running.values())
            running = {}
        elif name == "file":
            running[arguments[0]["file"]] = arguments[0]
        elif name == "captcha":
            text = display.question(arguments[0])
            if text is not None:
                server.answer(text)


def _sentence(finding: dict[str, str]) -> str:
    place = " / ".join(finding[part] for part in ("mod", "package", "file") if part in finding)
    sentence = f"{finding['message']} {finding.get('hint', '')}".strip()
    return f"{place}: {sentence}" if place else sentence
