"""Serving the mirror, so that a fresh installation is complete without another web server."""

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bottle
from bottle import HTTPError, HTTPResponse, request, static_file

from knossosd.settings import Settings
from knossosd.web.disk import in_thread

CHUNK = 256 * 1024
TYPES = {
    ".7z": "application/x-7z-compressed",
    ".bz2": "application/x-bzip2",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".png": "image/png",
    ".rar": "application/vnd.rar",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".txt": "text/plain",
    ".xz": "application/x-xz",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}


def install(app: bottle.Bottle, settings: Settings) -> None:
    """Add the route, unless another server serves the mirror."""
    path = served_at(settings)
    if settings.mirror_path is None or path is None:
        return
    root = settings.mirror_path.resolve()

    def serve(name: str) -> HTTPResponse:
        answer = in_thread(_found, root, name, request.environ)
        if answer.body and not isinstance(answer.body, str | bytes):
            answer.body = ThreadedPieces(answer.body)
        return answer

    app.route(f"{path}/<name:path>", ["GET", "HEAD"], serve)


def served_at(settings: Settings) -> str | None:
    """The path of the mirror's public URL, None when it is not for us to serve it."""
    return urlsplit(settings.mirror_url).path if settings.mirror_url and settings.serve_mirror else None


def _found(root: Path, name: str, environ: dict[str, Any]) -> HTTPResponse:
    """The answer to the request for a file. It looks at the disk, and so runs in a thread."""
    request.bind(environ)  # in which Bottle knows of no request
    file = root / name
    if not _is_for_everybody(file, root, name):
        return HTTPError(404)
    stat = file.stat()
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    _settle_range(environ, (etag, formatdate(stat.st_mtime, usegmt=True)))
    kind = TYPES.get(file.suffix.lower(), "application/octet-stream")
    return static_file(name, root=str(root), mimetype=kind, etag=etag)


def _is_for_everybody(file: Path, root: Path, name: str) -> bool:
    if "\0" in name or any(part.startswith(".") for part in name.split("/")):
        return False
    try:
        return file.resolve().is_relative_to(root) and file.is_file()
    except OSError:  # no file can have such a name
        return False


def _settle_range(environ: dict[str, Any], validators: tuple[str, str]) -> None:
    """Drop a range that must not be served: of a file that has changed since, or several at once."""
    if environ.get("HTTP_IF_RANGE", validators[0]) not in validators:
        environ.pop("HTTP_RANGE", None)
    if "," in environ.get("HTTP_RANGE", ""):
        environ.pop("HTTP_RANGE")


class ThreadedPieces:
    """The pieces of `body`, each read in a thread: a slow disk must not hold up other connections."""

    def __init__(self, body: Any) -> None:
        self._body = body
        read = getattr(body, "read", None)
        self._pieces: Iterator[bytes] = iter(lambda: read(CHUNK), b"") if read else iter(body)

    def __iter__(self) -> Iterator[bytes]:
        while piece := in_thread(next, self._pieces, b""):
            yield piece

    def close(self) -> None:
        """Called by the server when the client has all, or has left."""
        if hasattr(self._body, "close"):
            self._body.close()
