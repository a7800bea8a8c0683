"""The server below the app: connections and requests, with limits for what a client may take of us.

gevent's own server waits for ever: for a head that never ends, a body that drips, a reader who takes nothing, and a
connection on which nothing is asked. Here a client has so many seconds for the head of a request. For a body, and for
taking an answer, it may be as slow as `CLIENT_SPEED`, and lag behind that by `CLIENT_TIMEOUT`: what an honest client on
a poor line needs, while who drips a byte at a time is gone soon. Only time that we wait for the client counts.

What every answer says to browsers is said here as well, for no answer comes by another way.
"""

import errno
import fcntl
import io
import logging
import math
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any, cast

import gevent.socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from knossosd.settings import KIB, Settings
from knossosd.web.clients import Proxies, Seats

log = logging.getLogger("knossosd.web")

MAX_HEAD = 64 * KIB
"""Bytes of a request's head."""

RETRY_AFTER = 30
"""Seconds after which an address may try again that has all the connections it may have."""

ON_EVERY_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Unless the answer has such a header of its own. A page that is meant for frames says so in its `frame-ancestors`,
which browsers obey before `X-Frame-Options`."""

_HEADERS = {name.lower().encode(): (name.encode(), value.encode()) for name, value in ON_EVERY_ANSWER.items()}
_LINES = b"".join(b"\r\n" + name + b": " + value for name, value in _HEADERS.values())


class HeadTooSlow(Exception):
    """The client takes too long to say what it wants."""


class HeadTooLarge(Exception):
    """The head of the request has more bytes than anybody needs."""


class Server(WSGIServer):
    """The server of `app`, on the socket `listener`. At most `connections` are open at once; who comes then waits."""

    def __init__(self, listener: Any, app: Any, settings: Settings, *, connections: int, **options: Any) -> None:
        super().__init__(listener, app, spawn=Pool(connections), **options)
        self.settings = settings
        self.proxies = Proxies(settings.trusted_proxies)
        self.watchers = Seats(settings.watchers_per_address)
        self._connections = Seats(settings.connections_per_address)

    def handle(self, sock: gevent.socket.socket, address: Any) -> None:
        """See to one connection, until it ends."""
        if self.proxies.have(address[0]):  # it speaks for many
            super().handle(sock, address)
            return
        with self._connections.taken_by(address[0]) as has_seat:
            if has_seat:
                super().handle(sock, address)
            else:
                _turn_away(sock)


class Handler(WSGIHandler):
    """One connection, and the requests that come by it."""

    server: Server
    socket: Any
    environ: Any
    application: Any
    response_headers: Any
    client_address: Any
    _write: Any

    def __init__(self, sock: gevent.socket.socket, address: Any, server: Server) -> None:
        super().__init__(sock, address, server)
        self._peer = address
        self.stream = ClientStream(sock)
        self.rfile = io.BufferedReader(self.stream)

    def read_requestline(self) -> str:
        """Wait until the client begins, and then only so long until it has said what it wants."""
        settings = self.server.settings
        self.stream.allow(settings.header_timeout if self.requestline is None else settings.keep_alive)
        self.rfile.peek(1)
        self.stream.allow(settings.header_timeout, most=MAX_HEAD)
        self.requestline = ""
        try:
            return str(super().read_requestline())
        except TimeoutError:
            raise HeadTooSlow from None  # the library would leave without a word

    def handle_one_request(self) -> Any:
        """As the library does; what it answers without the app gets the headers of every answer."""
        try:
            outcome = super().handle_one_request()
        except (HeadTooSlow, HeadTooLarge) as error:
            outcome = self._handle_client_error(error)
        if not isinstance(outcome, tuple):
            return outcome
        self._orig_status = None  # that of an earlier request, which would be logged
        status, answer = outcome
        return status, answer.replace(b"\r\n\r\n", _LINES + b"\r\n\r\n", 1)

    def MessageClass(self, *arguments: Any) -> Any:  # noqa: N802
        """The headers, before the library throws any away; refuse those that a proxy may understand in another way."""
        headers = super().MessageClass(*arguments)
        lengths = headers.get_all("Content-Length", [])
        codings = headers.get_all("Transfer-Encoding", [])
        if len(lengths) > 1 or not all(one.isascii() and one.isdecimal() for one in lengths):
            raise ValueError("its Content-Length is no number")
        if len(codings) > 1 or not all(one.lower() == "chunked" for one in codings):
            raise ValueError("its Transfer-Encoding is not known here")
        if lengths and codings:
            raise ValueError("its body has two lengths")
        return headers

    def get_environ(self) -> dict[str, Any]:
        """From here on, the client's address is whom we believe that to be."""
        self.client_address = self._peer
        environ: dict[str, Any] = super().get_environ()
        environ["REMOTE_ADDR"] = self.server.proxies.client(environ)
        self.client_address = (environ["REMOTE_ADDR"], *self._peer[1:])
        if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
            self.stream.allow(self.server.settings.client_timeout, self.server.settings.client_speed)
        return environ

    def finalize_headers(self) -> None:
        said = {name.lower() for name, _ in self.response_headers}
        self.response_headers += [header for name, header in _HEADERS.items() if name not in said]
        super().finalize_headers()

    def _write_with_headers(self, data: bytes) -> None:
        """Head and body in one go, which is most of what a short answer costs; the library sends them one by one."""
        self.headers_sent = True
        self.finalize_headers()
        lines = [
            b"HTTP/1.1 " + cast(bytes, self.status),
            *(name + b": " + value for name, value in self.response_headers),
        ]
        head = b"\r\n".join([*lines, b"", b""])
        if self.response_use_chunked or len(data) > MAX_HEAD:
            self._sendall(head)
            self._write(data)
        else:
            self._sendall(head + data if data else head)

    def _sendall(self, data: bytes | bytearray) -> None:
        try:
            sent = int(self.socket.send(data, timeout=0.0))
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._send_as_it_is_taken(memoryview(data)[sent:])
        self.response_length += len(data)

    def _send_as_it_is_taken(self, data: memoryview) -> None:
        allowance = Allowance(self.server.settings.client_timeout, self.server.settings.client_speed)
        while data:
            waiting = _waiting(self.socket)
            try:
                data = data[allowance.spend(self._send, data) :]
            except TimeoutError:
                # The kernel wants more only when a good part of what it has, which may be megabytes, is gone.
                if not allowance.earn(waiting - _waiting(self.socket)):
                    self.close_connection = True
                    raise BrokenPipeError(errno.EPIPE, "the client takes nothing") from None

    def _send(self, data: memoryview, seconds: float) -> int:
        self.socket.settimeout(seconds)
        return int(self.socket.send(data))

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes] | None:
        """The answer to a head that cannot be read. The library would print a trace for much of that."""
        if isinstance(ex, HeadTooSlow | TimeoutError):
            return _answer("408 Request Timeout")
        if isinstance(ex, HeadTooLarge | HTTPException):
            return _answer("431 Request Header Fields Too Large")
        if isinstance(ex, OSError):  # the client has left
            return None
        if not isinstance(ex, ValueError):
            log.error("the head of a request made us fail", exc_info=ex)
        return _answer("400 Bad Request")


class ClientStream(io.RawIOBase):
    """What the client sends, as long as it is allowed to."""

    def __init__(self, sock: gevent.socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._allowance: Allowance | None = None
        self._bytes_left: int | None = None

    def allow(self, seconds: float, speed: float = math.inf, most: int | None = None) -> None:
        """From now on, the client may take so many `seconds` and what it earns, for at most so many bytes."""
        self._allowance = Allowance(seconds, speed)
        self._bytes_left = most

    def allow_all(self) -> None:
        """From now on, the client may take its time."""
        self._allowance = self._bytes_left = None
        self._socket.settimeout(None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises `TimeoutError` and `HeadTooLarge` when the client has had all that it was allowed."""
        if self._bytes_left is not None and self._bytes_left <= 0:
            raise HeadTooLarge
        if self._allowance is None:
            return int(self._socket.recv_into(buffer))
        received = self._allowance.spend(self._receive, buffer)
        if self._bytes_left is not None:
            self._bytes_left -= received
        return received

    def _receive(self, buffer: Any, seconds: float) -> int:
        self._socket.settimeout(seconds)
        return int(self._socket.recv_into(buffer))


class Allowance:
    """How long a client may let us wait: `seconds`, and what it earns by moving `speed` bytes a second."""

    __slots__ = ("_left", "_most", "_speed")

    def __init__(self, seconds: float, speed: float) -> None:
        self._most = self._left = seconds
        self._speed = speed

    def spend(self, move: Callable[[Any, float], int], data: Any) -> int:
        """Let `move` move bytes of the `data` within the seconds that it is given, and say how many it has.

        Raises `TimeoutError`.
        """
        if self._left <= 0:
            raise TimeoutError
        begun, moved = time.monotonic(), 0
        try:
            moved = move(data, self._left)
        finally:
            self._left -= time.monotonic() - begun
            self.earn(moved)
        return moved

    def earn(self, moved: int) -> bool:
        """Add what the client earns by having moved so many bytes; says whether it has any time left."""
        self._left = min(self._most, self._left + moved / self._speed)
        return self._left > 0


def _waiting(sock: gevent.socket.socket) -> int:
    """How many bytes the kernel still keeps for the other end, where it says that (Linux)."""
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def _answer(status: str) -> tuple[str, bytes]:
    """What goes to the client when it is not for the app to answer; the connection ends with it."""
    return status.partition(" ")[0], f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()


def _turn_away(sock: gevent.socket.socket) -> None:
    """Tell a client that it has enough connections. It gets no greenlet's patience."""
    _, answer = _answer(f"429 Too Many Requests\r\nRetry-After: {RETRY_AFTER}")
    with suppress(OSError):
        sock.settimeout(0.0)
        sock.send(answer.replace(b"\r\n\r\n", _LINES + b"\r\n\r\n"))
        sock.shutdown(gevent.socket.SHUT_WR)
        sock.recv(KIB)  # what lies there unread would take the answer from the client
