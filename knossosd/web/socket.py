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
from gevent.pywsgi import Input, WSGIHandler
from geventwebsocket.exceptions import ProtocolError, WebSocketError
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import Header, WebSocket

log = logging.getLogger("knossosd.web")

MAX_MESSAGE = 64 * 1024
"""Bytes of a message that a client may send; the longest one that means anything is a captcha's text."""

MAX_WAITING = 1024 * 1024
"""Bytes that may wait for a slow reader when more comes, before it is closed; it comes back and asks for the rest."""

PING_INTERVAL = 20.0
"""Seconds between two pings: less than any proxy's patience with a silent connection."""

MAX_SILENCE = 2.5 * PING_INTERVAL
"""Seconds after which a peer that answered no ping is gone."""

DRAINED = 1024 * 1024
"""Bytes of a body nobody wanted that are still read, so that the client gets to see the answer."""

DRAIN_TIME = 2.0
"""Seconds that this may take."""

NORMAL, PROTOCOL_ERROR, NOT_TEXT, TOO_BIG, SERVICE_RESTART, TRY_AGAIN = 1000, 1002, 1007, 1009, 1012, 1013
"""Status codes of RFC 6455 for the end of a connection."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_open: WeakSet["LiveSocket"] = WeakSet()
"""Every socket of this process."""


class Closed(Exception):
    """The peer is gone, or was sent away."""


class LiveSocket:
    """One open WebSocket, on top of the library's `websocket`. One greenlet reads from it; writing waits for nobody.

    What the peer takes at once is written at once. A greenlet that writes is there only as long as something waits, so
    an idle watcher costs little and a crowd of them is served in one go.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self._stream = websocket.stream
        self._socket = websocket.handler.socket
        self._waiting = bytearray()
        self._writer: gevent.Greenlet[[], None] | None = None
        self._is_open = True
        self._heard = time.monotonic()
        websocket.closed = True  # the library must not say good-bye once more
        self._pulse = gevent.get_hub().loop.timer(PING_INTERVAL, PING_INTERVAL)
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
        with gevent.Timeout(MAX_SILENCE, False):  # type: ignore[arg-type]
            while self._writer:
                self._writer.join()
            if self._is_open:
                return
        self._end()
        raise Closed

    def receive(self) -> str:
        """The next text message. Raises `Closed` when there will be none."""
        message, has_begun = bytearray(), False
        while True:
            opcode, payload, final = self._read_frame()
            if opcode == PING:
                self.offer(_frame(PONG, payload))
            elif opcode == CLOSE:
                self.close(NORMAL)
                raise Closed
            elif opcode != PONG:
                if opcode not in ((CONTINUATION,) if has_begun else (TEXT, BINARY)):
                    self._reject(PROTOCOL_ERROR)
                has_begun = True
                message += payload
                if len(message) > MAX_MESSAGE:
                    self._reject(TOO_BIG)
                if final:
                    return self._decode(bytes(message))

    def close(self, code: int) -> None:
        """Say good-bye. The connection ends when `wait` is called, and everything that waits has been sent."""
        with suppress(Closed):
            self.offer(_frame(CLOSE, code.to_bytes(2, "big")))
        self._is_open = False

    def wait(self) -> None:
        """Wait until everything is written, and end the connection."""
        if self._writer:
            self._writer.join(timeout=MAX_SILENCE)
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
            return header.opcode, bytes(header.unmask_payload(payload)), bool(header.fin)
        except ProtocolError:
            self._reject(PROTOCOL_ERROR)
        except (WebSocketError, OSError, ValueError) as error:
            raise Closed from error
        raise Closed

    def _decode(self, message: bytes) -> str:
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
        if time.monotonic() - self._heard > MAX_SILENCE:
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


class SocketHandler(WebSocketHandler):  # type: ignore[misc]
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
        if "HTTP_UPGRADE" in self.environ:
            return super().run_application()
        return WSGIHandler.run_application(self)  # the library takes its time to find out that it is not meant

    def upgrade_websocket(self) -> Any:
        if "HTTP_SEC_WEBSOCKET_KEY" in self.environ and not _is_socket_key(self.environ["HTTP_SEC_WEBSOCKET_KEY"]):
            return self._refuse_handshake("400 Bad Request")
        if self.environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            if self.request_version != "HTTP/1.1":
                return self._refuse_handshake("400 Bad Request")
            if self.server.closed:  # those who were here have just been sent away
                return self._refuse_handshake("503 Service Unavailable")
        answer = super().upgrade_websocket()
        return [part.encode() for part in answer] if answer else answer

    def run_websocket(self) -> None:
        # The library keeps its clients by address, which all clients behind a unix socket share.
        try:
            list(self.application(self.environ, lambda _status, _headers, _error=None: []))
        finally:
            self.environ["wsgi.websocket"] = None
            self.websocket = None

    def log_request(self) -> None:
        """The library would log past the server's own log, which keeps secrets out."""
        WSGIHandler.log_request(self)

    def _refuse_handshake(self, status: str) -> list[bytes]:
        self.start_response(status, [("Content-Type", "text/plain"), ("Connection", "close")])
        return [b"This is no WebSocket handshake.\n"]


def _is_socket_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.strip(), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
