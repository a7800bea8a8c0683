"""Uploads in parts, for files that are too large for one request: begin, send the parts, finish, or give up.

Whoever begins needs an API key, and gets an id and a token: with these, anybody may do the rest. So a site can let a
browser send a file, and keeps the key to itself. Parts may come in any order, side by side, and again.
"""

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import bottle
import gevent
import redis
from bottle import HTTPResponse, request

from knossosd.conversion.disk import FULL
from knossosd.conversion.kinds import HEAD, ending_of, keeps_its_promise
from knossosd.conversion.parts import Gone, PartFiles
from knossosd.conversion.uploads import Uploads
from knossosd.faults import Code
from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.chunked import Chunked, ChunkedState, ChunkedUploads, PartState
from knossosd.tickets.quota import UploadQuota
from knossosd.tickets.store import QuotaReached
from knossosd.tickets.wake import Wake
from knossosd.web.access import offered_key
from knossosd.web.answers import json_answer, refused
from knossosd.web.bodies import SMALL, CutOff, announced_length, pieces
from knossosd.web.cors import answer_preflight, let_all_sites_ask
from knossosd.web.disk import KEPT_FREE, Disk, in_thread
from knossosd.web.forms import FormError, read_form

log = logging.getLogger(__name__)

ID = re.compile(r"[0-9a-f]{16}")
SHA256 = re.compile(r"[0-9a-f]{64}")
SECONDS = re.compile(r"[0-9]{1,3}")

LONGEST_WAIT = 30
"""Seconds that somebody who watches is kept waiting for an outcome; then he asks again."""

LOOK = 0.5
"""Seconds between two looks, meanwhile."""

MAX_NAME = 255


def install(
    app: bottle.Bottle,
    settings: Settings,
    keyring: Keyring,
    chunked: ChunkedUploads,
    wake: Wake,
    disk: Disk,
    quota: UploadQuota,
) -> None:
    """Add the routes."""
    api = _Api(settings, keyring, chunked, wake, disk, quota)
    path = "/api/chunked"
    app.post(path, callback=_answering(api.begin))
    app.get(f"{path}/<upload>", callback=_answering(api.status))
    app.put(f"{path}/<upload>/parts/<number:int>", callback=_answering(api.part), reads_body=True)
    app.post(f"{path}/<upload>/finish", callback=_answering(api.finish))
    app.delete(f"{path}/<upload>", callback=_answering(api.give_up))
    for below in ("", "/<upload>", "/<upload>/parts/<number:int>", "/<upload>/finish"):
        app.route(path + below, "OPTIONS", answer_preflight)
    let_all_sites_ask(app, path, "GET, POST, PUT, DELETE, OPTIONS", "Authorization, Content-Type")


class _Api:
    def __init__(
        self,
        settings: Settings,
        keyring: Keyring,
        chunked: ChunkedUploads,
        wake: Wake,
        disk: Disk,
        quota: UploadQuota,
    ) -> None:
        self.settings = settings
        self.keyring = keyring
        self.chunked = chunked
        self.files = PartFiles.from_settings(settings)
        self.uploads = Uploads.from_settings(settings)
        self.wake = wake
        self.disk = disk
        self.quota = quota

    def begin(self) -> HTTPResponse:
        """Begin an upload: fields `filename`, `size` and, if known, `sha256`; the key as for submitting."""
        try:
            form = read_form(request.environ, SMALL)
        except FormError as error:
            raise refused(400, str(error)) from None
        offered = form.get("passwd") or offered_key(request.environ)
        key = self.keyring.find(offered if isinstance(offered, str) else None, Scope.UPLOAD)
        if key is None or self.uploads is None:
            raise refused(403, "Access denied")
        upload = Chunked.begin(key.owner, *self._wanted(form))
        before = self.chunked.announced(upload)
        if before and not in_thread(self._is_there, before):
            self.chunked.forget(before.id)
            before = None
        return self._described(before or self._begun(upload), with_token=True)

    def status(self, upload: str) -> HTTPResponse:
        """How an upload is doing; with `?wait=<seconds>`, not before there is an outcome of its finishing."""
        wait = request.query.get("wait", "")
        deadline = time.monotonic() + min(int(wait) if SECONDS.fullmatch(wait) else 0, LONGEST_WAIT)
        found = self._found(upload)
        while found.state is ChunkedState.FINISHING and time.monotonic() < deadline:
            gevent.sleep(LOOK)
            found = self._found(upload)
        return self._described(found)

    def part(self, upload: str, number: int) -> HTTPResponse:
        """Take one part, whose hex SHA-256 is in the query."""
        found, sha256 = self._found(upload), request.query.get("sha256", "").lower()
        if not SHA256.fullmatch(sha256):
            raise refused(400, "The query has to say the part's hex SHA-256: ?sha256=…", Connection="close")
        if not 0 <= number < found.parts:
            raise refused(404, f"The parts are numbered from 0 to {found.parts - 1}.", Connection="close")
        if announced_length(request.environ) != found.length_of(number):
            raise refused(400, f"Part {number} has {found.length_of(number)} bytes.", Connection="close")
        match self.chunked.begin_part(found, number, sha256):
            case PartState.CLOSED:
                raise _closed()
            case PartState.KNOWN:
                self._read(found, number, sha256, lambda _offset, _piece: None)
            case PartState.WANTED:
                self._read(found, number, sha256, lambda offset, piece: self.files.write(found.id, offset, piece))
                if not self.chunked.note_part(found, number, sha256):
                    raise _closed()
        return json_answer(200, {"error": False, "part": number})

    def finish(self, upload: str) -> HTTPResponse:
        """All parts are there: have the upload read and published."""
        found = self._found(upload)
        if self.chunked.finish(found):
            try:
                self.wake.finisher()
            except redis.RedisError as error:  # upkeep looks for those that wait
                log.warning("nobody could be told to finish the upload %s: %s", upload, error)
        elif found.state is ChunkedState.OPEN and (missing := self._missing(found)):
            raise json_answer(409, {"error": True, "message": "Some parts are missing.", "missing": missing})
        return self._described(self._found(upload))

    def give_up(self, upload: str) -> HTTPResponse:
        """Forget an upload, and what was sent of it. One that is done stays on the mirror."""
        found = self._found(upload)
        self.chunked.forget(upload)
        in_thread(self.files.discard, upload)
        if found.state is not ChunkedState.DONE:
            self.quota.give_back(found.owner, upload)
        return json_answer(200, {"error": False})

    def _wanted(self, form: dict[str, Any]) -> tuple[str, int, str]:
        """The name, the size and, or else empty, the sha256 of the file that is announced."""
        filename, size, sha256 = (str(form.get(name) or "") for name in ("filename", "size", "sha256"))
        is_name = len(filename) <= MAX_NAME and filename.isprintable()
        if not is_name or ending_of(filename) not in self.settings.upload_extensions:
            raise refused(400, "Invalid filename!")
        if not re.fullmatch(r"[1-9][0-9]{0,15}", size):
            raise refused(400, "size: must be the file's size in bytes")
        if sha256 and not SHA256.fullmatch(sha256.lower()):
            raise refused(400, "sha256: must be the file's hex SHA-256")
        limit = self.settings.max_upload_size
        if int(size) > limit:
            raise refused(413, f"Files of more than {limit} bytes are not taken.")
        return filename, int(size), sha256.lower()

    def _is_there(self, upload: Chunked) -> bool:
        """Whether there still is what Redis remembers of an upload."""
        assert self.uploads is not None
        if upload.state is ChunkedState.DONE:
            return (self.uploads.folder / upload.sha256).exists()
        return self.files.has(upload.id)

    def _begun(self, upload: Chunked) -> Chunked:
        """A new upload, with its room on the disk; or one of the same file that was begun at the same moment."""
        # It may wait for its parts for a day, and conversions must go on meanwhile.
        if not self.disk.has_room(upload.size + self.settings.min_free_disk + KEPT_FREE):
            raise _no_room()
        try:
            self.quota.spend(upload.owner, upload.id, upload.size)
        except QuotaReached as reached:
            raise refused(429, str(reached), Retry_After=str(reached.after)) from None
        counts = None
        try:
            in_thread(self.files.reserve, upload.id, upload.size)
            counts = self.chunked.begin(upload)
        except OSError as error:
            if error.errno in FULL:
                raise _no_room() from error
            raise
        finally:
            if counts is None or counts.id != upload.id:
                in_thread(self.files.discard, upload.id)
                self.quota.give_back(upload.owner, upload.id)
        return counts

    def _read(self, upload: Chunked, number: int, sha256: str, keep: Callable[[int, bytes], None]) -> None:
        """Read a part, which has to have this `sha256`, and `keep` its pieces by their places in the file."""
        digest, offset = hashlib.sha256(), number * upload.part_size

        def take(piece: bytes) -> None:
            digest.update(piece)
            keep(offset, piece)

        try:
            for piece in pieces(request.environ, upload.length_of(number)):
                if offset == 0 and not keeps_its_promise(ending_of(upload.filename), piece[:HEAD]):
                    raise _wrong(415, Code.ARCHIVE_UNREADABLE, f"{upload.filename} is no archive.", Connection="close")
                in_thread(take, piece)
                offset += len(piece)
        except CutOff:
            raise refused(400, "The part was cut off.", Connection="close") from None
        except Gone:
            raise _closed() from None
        except OSError as error:
            if error.errno in FULL:
                raise _no_room() from error
            raise
        if digest.hexdigest() != sha256:
            raise _wrong(422, Code.UPLOAD_DAMAGED, f"Part {number} came damaged. Send it again.")

    def _found(self, upload: str) -> Chunked:
        """The upload, for whoever has its token."""
        found = self.chunked.get(upload) if ID.fullmatch(upload) else None
        if found is None:
            raise refused(404, "There is no such upload (any more).", Connection="close")
        if not hmac.compare_digest((offered_key(request.environ) or "").encode(), found.token.encode()):
            raise refused(403, "Access denied", Connection="close")
        return found

    def _missing(self, upload: Chunked) -> list[int]:
        sent = self.chunked.sent(upload)
        return [number for number in range(upload.parts) if number not in sent]

    def _described(self, upload: Chunked, *, with_token: bool = False) -> HTTPResponse:
        described: dict[str, Any] = {
            "error": False,
            "id": upload.id,
            "filename": upload.filename,
            "size": upload.size,
            "part_size": upload.part_size,
            "parts": upload.parts,
            "state": upload.state.value,
            "errors": list(upload.errors),
        }
        if with_token:
            described["token"] = upload.token
        if upload.state is ChunkedState.OPEN:
            described["missing"] = self._missing(upload)
        if upload.state is ChunkedState.FINISHING:
            described["progress"] = upload.progress
        if upload.state is ChunkedState.DONE:
            described |= {"url": upload.url, "sha256": upload.sha256}
        return json_answer(200, described, Cache_Control="no-store")


def _closed() -> HTTPResponse:
    return refused(409, "The upload takes no parts any more.", Connection="close")


def _no_room() -> HTTPResponse:
    return refused(507, "There is not enough room on the server.", Connection="close")


def _wrong(status: int, code: Code, message: str, **headers: str) -> HTTPResponse:
    """A refusal of what was sent."""
    return json_answer(status, {"error": True, "message": message, "code": code.value}, **headers)


def _answering(action: Callable[..., HTTPResponse]) -> Callable[..., HTTPResponse]:
    """The route of an action, which may raise its answer as well."""

    def answer(**arguments: Any) -> HTTPResponse:
        try:
            return action(**arguments)
        except HTTPResponse as refusal:
            return refusal

    return answer
