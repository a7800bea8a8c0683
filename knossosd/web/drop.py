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
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bottle
import multipart
from bottle import HTTPResponse, request

from knossosd.conversion.digest import Digester
from knossosd.conversion.disk import FULL
from knossosd.conversion.kinds import HEAD, ending_of, keeps_its_promise
from knossosd.conversion.uploads import Uploads
from knossosd.keyring import Key, Keyring, Scope, digest_of
from knossosd.repo.contents import Digest
from knossosd.settings import Settings
from knossosd.tickets.quota import UploadQuota
from knossosd.tickets.store import QuotaReached
from knossosd.web.access import key_of
from knossosd.web.answers import NoGuess
from knossosd.web.bodies import CutOff, announced_length, pieces
from knossosd.web.cors import answer_preflight, let_all_sites_ask
from knossosd.web.disk import KEPT_FREE, Disk, in_thread

WINDOW = 30 * 60
"""Seconds that a permission is good for."""

SPARE = 64 * 1024
"""Bytes of a multipart body besides the file."""

MAX_FIELDS = 20

SIZE = re.compile(r"[0-9]{1,16}")

BOUND = "-"
"""What stands in the path in place of the old token."""


class Refused(Exception):
    """The upload is not taken. `status`, `body`, `kind` and `headers` are the answer."""

    kind: type[HTTPResponse] = HTTPResponse

    def __init__(self, status: int, body: str | dict[str, Any], **headers: str) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = headers


class NoUpload(Refused):
    """What came is no upload, or not all of one. That is answered as if there were no permission, as it always was."""

    kind = NoGuess

    def __init__(self) -> None:
        super().__init__(403, "Access denied")


@dataclass(frozen=True, slots=True)
class Permission:
    """What an upload is allowed: with a bound token of the plain key `signer`, only the file of this size whose name
    has this mac. `owner` is whose key it is."""

    owner: str
    time: int
    signer: str = ""
    size: int | None = None
    mac: str | None = None

    def covers(self, filename: str) -> bool:
        if self.mac is None:
            return True
        message = f"{self.time}:{filename}:{self.size}".encode()
        expected = hmac.new(self.signer.encode(), message, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), self.mac.encode())


def install(
    app: bottle.Bottle,
    settings: Settings,
    keyring: Keyring,
    disk: Disk,
    quota: UploadQuota,
    now: Callable[[], float] = time.time,
) -> None:
    """Add the route. `now` is the clock, epoch seconds."""
    door = _Door(settings, keyring, disk, quota, now)
    path = "/drop/<t:int>/<token>/<kid:int>"
    app.post(path, callback=door.drop, reads_body=True)
    app.route(path, "OPTIONS", answer_preflight)
    let_all_sites_ask(app, "/drop/", "POST, OPTIONS", "Authorization")


class _Door:
    def __init__(
        self, settings: Settings, keyring: Keyring, disk: Disk, quota: UploadQuota, now: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.keyring = keyring
        self.uploads = Uploads.from_settings(settings)
        self.disk = disk
        self.quota = quota
        self.now = now

    def drop(self, t: int, token: str, kid: int) -> HTTPResponse:
        """Take an upload, for whoever has permission."""
        try:
            permission = self._check_permission(t, token, kid)
            if self.now() - t > WINDOW:
                raise Refused(200, _error("You took too long to upload!"))
            return _answer(200, self._receive(permission))
        except Refused as refused:
            return _answer(refused.status, refused.body, refused.kind, Connection="close", **refused.headers)

    def _check_permission(self, t: int, token: str, kid: int) -> Permission:
        denied = Refused(403, "Access denied")
        if self.uploads is None:
            raise denied
        if token == BOUND and (key := key_of(request.environ, self.keyring, Scope.UPLOAD)):
            return Permission(key.owner, t)
        if not 0 <= kid < len(self.settings.api_keys):
            raise denied
        plain = self.settings.api_keys[kid]
        owner = Key(f"API_KEYS[{kid}]", digest_of(plain)).owner
        scheme, _, credentials = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        size, _, mac = credentials.partition(":")
        if token == BOUND and scheme == "Knossos" and SIZE.fullmatch(size):
            return Permission(owner, t, plain, int(size), mac)
        expected = hashlib.sha256(f"{plain}{t}".encode()).hexdigest()
        if not hmac.compare_digest(token.encode(), expected.encode()):
            raise denied
        return Permission(owner, t)

    def _receive(self, permission: Permission) -> dict[str, Any]:
        """Take the field `file` of the multipart body. Raises `Refused`; then nothing is kept."""
        assert self.uploads is not None
        length = self._check_room(permission)
        with self._counted(permission.owner, length), _incoming(self.uploads.work_path) as content:
            try:
                name = self._take_file(_events(length), content, permission)
                digest = in_thread(content.finish)
                url = in_thread(self.uploads.publish, content.path, digest)
            except (multipart.MultipartError, CutOff):
                raise NoUpload from None
            except OSError as error:
                if error.errno in FULL:
                    raise _no_room() from error
                raise
        return {"error": False, "url": url, "sha256": digest.sha256, "size": digest.size, "filename": name}

    def _check_room(self, permission: Permission) -> int:
        """The body's length, when there is room for it."""
        length = announced_length(request.environ)
        if length is None:
            raise Refused(411, _error("Say how long the upload is (Content-Length)."))
        limit = self.settings.max_content_length
        if length > limit + SPARE:
            raise _too_large(limit)
        if permission.size is not None and length > permission.size + SPARE:
            raise _too_large(permission.size)
        if not self.disk.has_room(length + KEPT_FREE):
            raise _no_room()
        return length

    @contextmanager
    def _counted(self, owner: str, size: int) -> Iterator[None]:
        """Let the bytes count for the owner's quota, unless the block raises: then nothing stayed."""
        upload = secrets.token_hex(8)
        try:
            self.quota.spend(owner, upload, size)
        except QuotaReached as reached:
            raise Refused(429, _error(str(reached)), **{"Retry-After": str(reached.after)}) from None
        try:
            yield
        except BaseException:
            self.quota.give_back(owner, upload)
            raise

    def _take_file(self, events: Iterator[Any], content: "_Content", permission: Permission) -> str:
        """Let the field `file` be the `content`; returns its name."""
        limit = self.settings.max_content_length
        if permission.size is not None:
            limit = min(limit, permission.size)
        name, in_file = None, False
        for event in events:
            if isinstance(event, multipart.MultipartSegment):
                in_file = event.name == "file" and name is None
                if in_file:
                    name = event.filename or ""
                    self._check_name(name, permission)
            elif event and in_file:
                if content.size + len(event) > limit:
                    raise _too_large(limit)
                in_thread(content.add, bytes(event))
                if name is not None and content.shows_its_kind:
                    _check_kind(name, content)
        if name is None or (permission.size is not None and content.size != permission.size):
            raise NoUpload
        _check_kind(name, content)
        return name

    def _check_name(self, name: str, permission: Permission) -> None:
        if not permission.covers(name):
            raise Refused(403, "Access denied")
        if ending_of(name) not in self.settings.upload_extensions:
            raise Refused(200, _error("Invalid filename!"))


class _Content:
    """What comes, on its way into a fresh file below `folder`. Who writes it computes its digest as well."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.NamedTemporaryFile(prefix="upload-", dir=folder, delete=False)  # noqa: SIM115
        self.path = Path(self._file.name)
        self.head = b""
        self._digester = Digester()

    @property
    def size(self) -> int:
        return self._digester.size

    @property
    def shows_its_kind(self) -> bool:
        return len(self.head) == HEAD

    def add(self, data: bytes) -> None:
        self._file.write(data)
        self._digester.update(data)
        self.head += data[: HEAD - len(self.head)]

    def finish(self) -> Digest:
        """Nothing more comes."""
        self._file.flush()
        return self._digester.digest()

    def remove(self) -> None:
        """Remove the file; its content may have other names now."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # a full disk takes not even what was kept back
            self._file.close()


@contextmanager
def _incoming(folder: Path) -> Iterator[_Content]:
    """A file on the mirror's file system that is gone when the block is left."""
    content = in_thread(_Content, folder)
    try:
        yield content
    finally:
        in_thread(content.remove)


def _events(length: int) -> Iterator[Any]:
    """What a multipart body of so many bytes consists of. Raises `CutOff` and `multipart.MultipartError`."""
    _, options = multipart.parse_options_header(request.environ.get("CONTENT_TYPE", ""))
    boundary = options.get("boundary", "")
    with multipart.PushMultipartParser(boundary, length, max_segment_count=MAX_FIELDS, strict=True) as parser:
        for piece in pieces(request.environ, length):
            yield from parser.parse(piece)
            if parser.closed:  # what may still come is of no interest
                return


def _check_kind(name: str, content: _Content) -> None:
    if not keeps_its_promise(ending_of(name), content.head):
        raise Refused(200, _error(f"{name} is no archive."))


def _too_large(limit: int) -> Refused:
    return Refused(413, _error(f"Files of more than {limit} bytes are not taken."))


def _no_room() -> Refused:
    return Refused(507, _error("There is not enough room on the server."))


def _error(message: str) -> dict[str, Any]:
    return {"error": True, "message": message}


def _answer(
    status: int, body: str | dict[str, Any], kind: type[HTTPResponse] = HTTPResponse, **headers: str
) -> HTTPResponse:
    content_type = "text/html; charset=UTF-8" if isinstance(body, str) else "application/json"
    text = body if isinstance(body, str) else json.dumps(body)
    return kind(text, status, {"Content-Type": content_type, **headers})
