"""Documents on disk: reading them, writing results, and the local files that they name."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from knossosd.cli.exits import Exit, Stop
from knossosd.repo.document import DocumentLimits, InvalidDocument, Reading, parse
from knossosd.settings import Settings

STANDARD = Path("-")
"""Stands for standard input or output."""

LOCAL_SCHEMES = frozenset({"http", "https", "file"})


def read_text(path: Path) -> str:
    """The text of a document."""
    try:
        return sys.stdin.read() if path == STANDARD else path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Stop(Exit.INVALID, f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(Exit.INVALID, f"{path} cannot be read: {error}.") from None


def read_document(path: Path, settings: Settings) -> tuple[str, Reading]:
    """The document at `path`, with `file:` links for the local files that it names, and what it means."""
    folder = Path.cwd() if path == STANDARD else path.resolve().parent
    text = with_file_links(read_text(path), folder)
    try:
        return text, parse(text, DocumentLimits.from_settings(settings), schemes=LOCAL_SCHEMES)
    except InvalidDocument as fault:
        problems = "\n".join(f"  {problem}" for problem in fault.problems)
        raise Stop(Exit.INVALID, f"{path} is not a valid document:\n{problems}") from None


def with_file_links(text: str, folder: Path) -> str:
    """The document with the paths of local files in `urls`, relative to `folder`, written as links."""

    def link(url: Any) -> Any:
        if isinstance(url, str) and not urlsplit(url).scheme and (folder / url).is_file():
            return (folder / url).resolve().as_uri()
        return url

    return _with_links(text, link)


def replace_links(text: str, links: dict[str, str]) -> str:
    """The document with its links replaced by others."""
    return _with_links(text, lambda url: links.get(url, url) if isinstance(url, str) else url)


def local_files(reading: Reading) -> Iterator[tuple[str, str, Path]]:
    """The `file:` links of a document, with the name in the document and the path of each."""
    for mod in reading.repo.mods:
        for package in mod.packages:
            for file in package.files:
                for url in file.urls:
                    if url.startswith("file:"):
                        yield url, file.filename, Path(unquote(urlsplit(url).path))


def write_result(path: Path, document: dict[str, Any]) -> None:
    """Write the generated document, whole or not at all."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"
    if path == STANDARD:
        sys.stdout.write(text)
        return
    try:
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise Stop(Exit.FAILED, f"{path} cannot be written: {error.strerror}.") from None


def _with_links(text: str, change: Callable[[Any], Any]) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text  # the check that follows says what is wrong with it
    for files in _lists_of_files(document):
        for entry in files:
            if isinstance(entry, dict) and isinstance(entry.get("urls"), list):
                entry["urls"] = [change(url) for url in entry["urls"]]
    return json.dumps(document)


def _lists_of_files(document: Any) -> Iterator[list[Any]]:
    """Every `files` in a document of any form, valid or not."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "files" and isinstance(value, list):
                yield value
            else:
                yield from _lists_of_files(value)
    elif isinstance(document, list):
        for item in document:
            yield from _lists_of_files(item)
