"""WebSockets: the only module that touches gevent-websocket.

Of that library, the handshake and the coding of frames are used. Reading messages, writing them and noticing that a
peer is gone is done here: with limits, without waiting for slow peers, and without the tracebacks that its own loop
lets out when a client behaves badly.
"""

import base64
import binascii
import logging
import time
from contextlib import suppress
from socket import SHUT_RDWR
from typing import Any
from weakref import WeakSet

import gevent
from gevent.pywsgi import Input
from geventwebsocket.exceptions import ProtocolError, WebSocketError
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import Header, WebSocket

from knossosd.web.handler import Handler

log = logging.getLogger("knossosd.web")

MAX_MESSAGE = 64 * 1024
"""Bytes of a message that a client may send; the longest one that means anything is a captcha's text."""

MAX_WAITING = 1024 * 1024
"""Bytes that may wait for a slow reader when more comes, before it is closed; it comes back and asks for the rest."""

PATIENCE = 2.5
"""Pings that a peer may miss before it counts as gone."""

DRAINED = 1024 * 1024
"""Bytes of a body nobody wanted that are still read, so that the client gets to see the answer."""

DRAIN_TIME = 2.0
"""Seconds that this may take."""

NORMAL, PROTOCOL_ERROR, NO_BINARY, NOT_TEXT, TOO_BIG = 1000, 1002, 1003, 1007, 1009
SERVICE_RESTART, TRY_AGAIN = 1012, 1013
"""Status codes of RFC 6455 for the end of a connection."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

VERSION = "13"
"""The version of the WebSocket protocol that every browser has spoken since 2012."""

_open: WeakSet["LiveSocket"] = WeakSet()
"""Every socket of this process."""


class Closed(Exception):
    """The peer is gone, or was sent away."""


class LiveSocket:
    """One open WebSocket, on top of the library's `websocket`. One greenlet reads from it; writing waits for nobody.

    What the peer takes at once is written at once. A greenlet that writes is there only as long as something waits, so
    an idle watcher costs little and a crowd of them is served in one go.
    """

    def __init__(self, websocket: WebSocket, ping_interval: float) -> None:
        self._stream = websocket.stream
        self._socket = websocket.handler.socket
        self._waiting = bytearray()
        self._writer: gevent.Greenlet[[], None] | None = None
        self._is_open = True
        self._heard = time.monotonic()
        websocket.closed = True  # the library must not say good-bye once more
        self._max_silence = PATIENCE * ping_interval
        self._pulse = gevent.get_hub().loop.timer(ping_interval, ping_interval)
        self._pulse.start(self._ping)
        _open.add(self)

    def offer(self, frames: bytes) -> None:
        """Send frames without waiting. Raises `Closed` when the peer is gone, or too slow and sent away."""
        if len(self._waiting) > MAX_WAITING:
            self._end()
        if not self._is_open:
            raise Closed
        if not self._waiting:
            frames = frames[self._write_now(frames) :]
        self._waiting += frames
        if self._waiting and not self._writer:
            self._writer = gevent.spawn(self._write_what_waits)

    def flush(self) -> None:
        """Wait until everything is written. Raises `Closed` when the peer does not take it."""
        with gevent.Timeout(self._max_silence, False):  # type: ignore[arg-type]
            while self._writer:
                self._writer.join()
            if self._is_open:
                return
        self._end()
        raise Closed

    def receive(self) -> str:
        """The next text message. Raises `Closed` when there will be none."""
        message: bytearray | None = None
        while True:
            opcode, payload, is_final = self._read_frame()
            if opcode == PING:
                self.offer(_frame(PONG, payload))
            elif opcode == CLOSE:
                self._reject(NORMAL)
            elif opcode != PONG:
                self._check_turn(opcode, is_begun=message is not None)
                message = bytearray() if message is None else message
                message += payload
                if len(message) > MAX_MESSAGE:
                    self._reject(TOO_BIG)
                if is_final:
                    return self._decode(message)

    def close(self, code: int) -> None:
        """Say good-bye. The connection ends when `wait` is called, and everything that waits has been sent."""
        with suppress(Closed):
            self.offer(_frame(CLOSE, code.to_bytes(2, "big")))
        self._is_open = False

    def wait(self) -> None:
        """Wait until everything is written, and end the connection."""
        if self._writer:
            self._writer.join(timeout=self._max_silence)
        self._end()

    def _read_frame(self) -> tuple[int, bytes, bool]:
        try:
            header = Header.decode_header(self._stream)
            if not header.mask or header.flags:
                self._reject(PROTOCOL_ERROR)
            if header.length > MAX_MESSAGE:
                self._reject(TOO_BIG)
            payload = self._stream.read(header.length) if header.length else b""
            if len(payload) != header.length:
                raise Closed
            self._heard = time.monotonic()
            return header.opcode, _unmasked(payload, header.mask), bool(header.fin)
        except ProtocolError:
            self._reject(PROTOCOL_ERROR)
        except (WebSocketError, OSError, ValueError) as error:
            raise Closed from error
        raise Closed

    def _check_turn(self, opcode: int, *, is_begun: bool) -> None:
        """A message begins as text; what follows continues it."""
        if opcode == BINARY:
            self._reject(NO_BINARY)
        if opcode != (CONTINUATION if is_begun else TEXT):
            self._reject(PROTOCOL_ERROR)

    def _decode(self, message: bytearray) -> str:
        try:
            return message.decode()
        except UnicodeDecodeError:
            self._reject(NOT_TEXT)
            raise Closed from None

    def _reject(self, code: int) -> None:
        self.close(code)
        raise Closed

    def _write_now(self, frames: bytes) -> int:
        """How many bytes of the frames the peer takes at once."""
        try:
            return int(self._socket.send(frames, timeout=0.0))
        except BlockingIOError:
            return 0
        except OSError:
            self._end()
            raise Closed from None

    def _write_what_waits(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: self._socket.send(self._waiting)]
        except OSError:
            self._end()
        finally:
            self._writer = None

    def _ping(self) -> None:
        if time.monotonic() - self._heard > self._max_silence:
            self._end()
        else:
            with suppress(Closed):
                self.offer(_frame(PING, b""))

    def _end(self) -> None:
        """Wakes the reader, and whoever waits until everything is written."""
        self._is_open = False
        self._pulse.close()
        if self._writer and self._writer is not gevent.getcurrent():
            self._writer.kill(block=False)
        with suppress(OSError):  # the peer was quicker
            self._socket.shutdown(SHUT_RDWR)


def text_frame(payload: bytes) -> bytes:
    """The frame of a text message (UTF-8)."""
    return _frame(TEXT, payload)


def close_all(code: int) -> None:
    """Say good-bye to every peer, as `LiveSocket.close` does."""
    for socket in list(_open):
        socket.close(code)


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    """All bytes in one go. The library takes them one by one, and nobody else is served meanwhile."""
    size = len(payload)
    repeated = (mask * (size // len(mask) + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(size)


def _frame(opcode: int, payload: bytes) -> bytes:
    header: bytes = Header.encode_header(True, opcode, b"", len(payload), 0)
    return header + payload


class PatientInput(Input):
    """A request's body. What the application leaves of it is read only so far; `is_left` says that more remains."""

    __slots__ = ("is_left",)

    def _discard(self) -> None:
        self.is_left = True
        if self.socket is not None:  # the client asked first whether to send it, and has got another answer
            return
        with gevent.Timeout(DRAIN_TIME, False):  # type: ignore[arg-type]
            left = DRAINED
            while left > 0 and (data := self.read(min(left, 65536))):
                left -= len(data)
            self.is_left = left <= 0


class SocketHandler(WebSocketHandler, Handler):  # type: ignore[misc]
    """The server's handler: HTTP, and WebSockets with clean answers to bad handshakes."""

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        body = environ["wsgi.input"]
        if isinstance(body, Input) and (body.content_length or body.chunked_input):  # a WebSocket's is the bare stream
            self.wsgi_input = PatientInput(body.rfile, body.content_length, body.socket, body.chunked_input)
            environ["wsgi.input"] = self.wsgi_input
        return environ

    def handle_one_response(self) -> None:
        super().handle_one_response()
        if getattr(self.wsgi_input, "is_left", False):
            self.close_connection = True  # the rest of the body must not be taken for the next request

    def run_application(self) -> Any:
        if "HTTP_UPGRADE" not in self.environ:
            return Handler.run_application(self)  # the library takes its time to find out that it is not meant
        with self.server.watchers.taken_by(self.environ["REMOTE_ADDR"]) as self.has_seat:
            return super().run_application()

    def upgrade_websocket(self) -> Any:
        """The library, which says itself what it finds wrong, and repeats it, only sees what is right."""
        if self.environ["HTTP_UPGRADE"].lower() != "websocket":
            return None
        problem = self._problem()
        if problem is None:
            return super().upgrade_websocket()
        headers = [("Content-Type", "text/plain"), ("Connection", "close")]
        if problem.startswith("426"):
            headers.append(("Sec-WebSocket-Version", VERSION))
        self.start_response(problem, headers)
        return [b"There is no WebSocket for this handshake.\n"]

    def _problem(self) -> str | None:
        """The status with which the handshake is refused, if it is."""
        said = self.environ.get
        wants = {word.strip().lower() for word in said("HTTP_CONNECTION", "").split(",")}
        if said("REQUEST_METHOD") != "GET" or self.request_version != "HTTP/1.1" or "upgrade" not in wants:
            return "400 Bad Request"
        if said("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != VERSION:
            return "426 Upgrade Required"
        if not _is_socket_key(said("HTTP_SEC_WEBSOCKET_KEY", "")):
            return "400 Bad Request"
        if not self._may_watch(said("HTTP_ORIGIN")):
            return "403 Forbidden"
        if not self.has_seat:
            return "429 Too Many Requests"
        return "503 Service Unavailable" if self.server.closed else None  # those who were here have been sent away

    def _may_watch(self, origin: str | None) -> bool:
        """Whether pages of this site may. Programs name none, and our own pages come from the host that they ask."""
        allowed = self.server.settings.watcher_origins
        if allowed is None or origin is None:
            return True
        host = self.environ.get("HTTP_HOST", "").lower()
        return origin.lower() in allowed or (host != "" and origin.lower() in (f"http://{host}", f"https://{host}"))

    def run_websocket(self) -> None:
        self.stream.allow_all()  # pings show whether the peer is there
        # The library keeps its clients by address, which all clients behind a unix socket share.
        try:
            list(self.application(self.environ, lambda _status, _headers, _error=None: []))
        finally:
            self.environ["wsgi.websocket"] = None
            self.websocket = None

    def log_request(self) -> None:
        """The library would log past the server's own log, which keeps secrets out."""
        Handler.log_request(self)


def _is_socket_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.strip(), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
