"""The upload door: a browser or a script puts an archive on the mirror and gets its link.

The path carries the time `t` (epoch seconds) of a permission, its token, and the index of the API key that signed it.
The old token is hex SHA-256 of the key followed by `t`. A token that is bound to one file is better: with `-` in place
of the token in the path, the header `Authorization: Knossos <size>:<mac>` carries the file's size in bytes and hex
HMAC-SHA256, with the API key, over `<t>:<file name>:<size>`. Whoever has the key itself may send that, as
`Authorization: Bearer <key>`, and needs no token.
"""

import hashlib
import hmac
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import bottle
import gevent
import multipart
from bottle import HTTPResponse, request

from knossosd.conversion.store import Store, flush
from knossosd.keyring import Keyring, Scope
from knossosd.repo.contents import Digest
from knossosd.settings import MIB, Settings
from knossosd.web.access import key_of
from knossosd.web.disk import Disk
from knossosd.web.forms import whole_number

WINDOW = 30 * 60
"""Seconds that a permission is good for."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Max-Age": "86400",
}
CORS_HEADERS = {"Access-Control-Allow-Headers": "Authorization"}
CHUNK = MIB
SPARE = 64 * 1024
"""Bytes of a multipart body besides the file."""

KEPT_FREE = 256 * MIB
"""Bytes of disk that an upload must leave for everybody else."""

BOUND = "-"
"""What stands in the path in place of the old token."""


class Refused(Exception):
    """The upload is not taken. `status` and `body` are the answer."""

    def __init__(self, status: int, body: str | dict[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class Permission(NamedTuple):
    """What an upload is allowed: with a bound token of a `key`, only the file of this size whose name has this mac."""

    key: str
    time: int
    size: int | None
    mac: str | None

    def covers(self, filename: str) -> bool:
        if self.mac is None:
            return True
        message = f"{self.time}:{filename}:{self.size}".encode()
        expected = hmac.new(self.key.encode(), message, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), self.mac.encode())


def install(
    app: bottle.Bottle, settings: Settings, keyring: Keyring, disk: Disk, now: Callable[[], float] = time.time
) -> None:
    """Add the route. `now` is the clock, epoch seconds."""

    def drop(t: int, token: str, kid: int) -> HTTPResponse:
        try:
            permission = _check_permission(settings, keyring, t, token, kid)
            if now() - t > WINDOW:
                raise Refused(200, _error("You took too long to upload!"))
            return _answer(200, _receive(settings, permission, disk), {})
        except Refused as refused:
            return _answer(refused.status, refused.body, {"Connection": "close"})

    path = "/drop/<t:int>/<token>/<kid:int>"
    app.post(path, callback=drop)
    app.route(path, "OPTIONS", lambda **_: HTTPResponse("", 200, {**CORS, **CORS_HEADERS}))


def _check_permission(settings: Settings, keyring: Keyring, t: int, token: str, kid: int) -> Permission:
    denied = Refused(403, "Access denied")
    if settings.upload_path is None:
        raise denied
    if token == BOUND and key_of(request.environ, keyring, Scope.UPLOAD):
        return Permission("", t, None, None)
    if not 0 <= kid < len(settings.api_keys):
        raise denied
    key = settings.api_keys[kid]
    scheme, _, credentials = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    promised, _, mac = credentials.partition(":")
    if token == BOUND and scheme == "Knossos" and (size := whole_number(promised)) is not None:
        return Permission(key, t, size, mac)
    expected = hashlib.sha256(f"{key}{t}".encode()).hexdigest()
    if not hmac.compare_digest(token.encode(), expected.encode()):
        raise denied
    return Permission(key, t, None, None)


def _receive(settings: Settings, permission: Permission, disk: Disk) -> dict[str, Any]:
    """Take the field `file` of the multipart body. Raises `Refused`; then nothing is kept."""
    length = _check_room(settings, disk)
    _, options = multipart.parse_options_header(request.environ.get("CONTENT_TYPE", ""))
    settings.work_path.mkdir(parents=True, exist_ok=True)
    with _incoming(settings.work_path) as file:
        try:
            with multipart.PushMultipartParser(options.get("boundary", ""), length, strict=True) as parser:
                name, digest = _take_file(_events(parser, length), file, settings, permission)
        except multipart.MultipartError:
            raise Refused(403, "Access denied") from None
        assert settings.mirror_path is not None
        assert settings.upload_path is not None
        _in_thread(_keep, file, digest, Store(settings.store_path), settings.mirror_path / settings.upload_path)
    url = f"{settings.mirror_url}/{settings.upload_path}/{digest.sha256}"
    return {"error": False, "url": url, "sha256": digest.sha256, "size": digest.size, "filename": name}


def _check_room(settings: Settings, disk: Disk) -> int:
    """The body's length, when there is room for it."""
    length = whole_number(request.environ.get("CONTENT_LENGTH", ""))
    if length is None:
        raise Refused(411, _error("Say how long the upload is (Content-Length)."))
    if length > settings.max_content_length + SPARE:
        raise Refused(413, _error(f"Files of more than {settings.max_content_length} bytes are not taken."))
    if not disk.has_room(length + KEPT_FREE):
        raise Refused(507, _error("There is not enough room on the server."))
    return length


def _events(parser: multipart.PushMultipartParser, length: int) -> Iterator[Any]:
    body, missing = request.environ["wsgi.input"], length
    while missing and not parser.closed:
        try:
            chunk = body.read(min(CHUNK, missing))
        except OSError as error:  # what pywsgi raises when the client leaves
            raise multipart.ParserError("cut off") from error
        missing -= len(chunk)
        yield from parser.parse(chunk)


def _take_file(
    events: Iterator[Any], file: IO[bytes], settings: Settings, permission: Permission
) -> tuple[str, Digest]:
    """Write the field `file` to `file`; returns its name and digest."""
    md5, sha256, size, name = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0, None
    in_file = False
    for event in events:
        if isinstance(event, multipart.MultipartSegment):
            in_file = event.name == "file" and name is None
            if not in_file:
                continue
            name = event.filename or ""
            if not permission.covers(name):
                raise Refused(403, "Access denied")
            if Path(name).suffix.lower().removeprefix(".") not in settings.upload_extensions:
                raise Refused(200, _error("Invalid filename!"))
        elif event and in_file:
            size += len(event)
            if size > settings.max_content_length or (permission.size is not None and size > permission.size):
                raise Refused(413, _error(f"Files of more than {settings.max_content_length} bytes are not taken."))
            _in_thread(_append, file, (md5, sha256), bytes(event))
    if name is None or (permission.size is not None and size != permission.size):
        raise Refused(403, "Access denied")
    return name, Digest(size, md5.hexdigest(), sha256.hexdigest())


@contextmanager
def _incoming(folder: Path) -> Iterator[IO[bytes]]:
    """A file on the mirror's file system that is gone when the block is left."""
    with tempfile.NamedTemporaryFile(prefix="upload-", dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _append(file: IO[bytes], digests: Sequence[Any], data: bytes) -> None:
    file.write(data)
    for digest in digests:
        digest.update(data)


def _keep(file: IO[bytes], digest: Digest, store: Store, folder: Path) -> None:
    """Give the upload its public name, which is its checksum; the store has the content."""
    file.flush()
    path, target = Path(file.name), folder / digest.sha256
    store.keep(path, digest)
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    flush(folder)


def _in_thread(work: Callable[..., None], *arguments: Any) -> None:
    """Disks and digests would hold up every other connection."""
    gevent.get_hub().threadpool.apply(work, arguments)


def _error(message: str) -> dict[str, Any]:
    return {"error": True, "message": message}


def _answer(status: int, body: str | dict[str, Any], headers: dict[str, str]) -> HTTPResponse:
    kind = "text/html; charset=UTF-8" if isinstance(body, str) else "application/json"
    text = body if isinstance(body, str) else json.dumps(body)
    return HTTPResponse(text, status, {**CORS, "Content-Type": kind, **headers})
