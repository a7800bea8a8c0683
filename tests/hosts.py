"""Real HTTP hosts on this machine, well-behaved and otherwise."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Request(BaseHTTPRequestHandler):
    """One request, as a behaviour gets it: with what it needs to answer well or badly."""

    protocol_version = "HTTP/1.1"
    server: "Host"
    sent = 0
    """The status of the answer."""

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.server.requests.append(self)
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has had enough
            self.server.behaviours[self.path.partition("?")[0]](self)

    do_GET = do_HEAD = do_POST = handle_any  # noqa: N815

    def answer(self, status: int, body: bytes = b"", **headers: Any) -> None:
        """Answer with status, body and headers; `Content_Length=…` may lie, None leaves it out."""
        headers.setdefault("Content_Length", len(body))
        self.sent = status
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    @property
    def wanted_from(self) -> int | None:
        """Where the asked range begins."""
        wanted = self.headers.get("Range")
        return int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else None

    def log_message(self, *_: Any) -> None:
        pass


Behaviour = Callable[[Request], None]


class Host(ThreadingHTTPServer):
    """A host whose paths behave as they are told; `requests` are all that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.behaviours: dict[str, Behaviour] = {}
        self.requests: list[Request] = []
        self.stopping = threading.Event()

    def link(self, path: str, behaviour: Behaviour) -> str:
        """Let `path` behave so; returns its link."""
        self.behaviours[path] = behaviour
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def running_host() -> Iterator[Host]:
    """A host that runs as long as the block."""
    host = Host()
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield host
    finally:
        host.stopping.set()
        host.shutdown()
        thread.join()
        host.server_close()


def serves(content: bytes, **headers: Any) -> Behaviour:
    """Serves the content, ranges and all."""

    def behave(request: Request) -> None:
        start = request.wanted_from
        known = {"ETag": '"v1"', "Accept_Ranges": "bytes", **headers}
        if start is None or request.headers.get("If-Range") not in (None, known["ETag"]):
            request.answer(200, content, **known)
        else:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            request.answer(206, content[start:], Content_Range=span, **known)

    return behave


def one_after_the_other(*behaviours: Behaviour) -> Behaviour:
    """Behaves differently each time, and in the end always like the last."""
    left = list(behaviours)

    def behave(request: Request) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return behave


def drops(content: bytes, after: int, **headers: Any) -> Behaviour:
    """Promises the content and breaks off."""

    def behave(request: Request) -> None:
        start = request.wanted_from or 0
        known = {"ETag": '"v1"', **headers}
        part = content[start : start + after]
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            request.answer(206, part, Content_Length=len(content) - start, Content_Range=span, **known)
        else:
            request.answer(200, part, Content_Length=len(content), **known)

    return behave


def says(status: int, body: bytes = b"", **headers: Any) -> Behaviour:
    """Always the same answer."""
    return lambda request: request.answer(status, body, **headers)


def says_raw(data: bytes) -> Behaviour:
    """Sends just these bytes."""

    def behave(request: Request) -> None:
        request.wfile.write(data)

    return behave


def stays_silent(request: Request) -> None:
    """Sends nothing until the test is over."""
    request.server.stopping.wait(30)


def drips(request: Request) -> None:
    """A byte now and then."""
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.send_header("ETag", '"slow"')
    request.end_headers()
    while not request.server.stopping.wait(0.02):
        request.wfile.write(b"x")


def never_ends(request: Request) -> None:
    """More and more, without a length."""
    request.send_response(200)
    request.end_headers()
    while not request.server.stopping.is_set():
        request.wfile.write(bytes(100_000))


def held(host: Host, content: bytes) -> tuple[str, threading.Event, threading.Event]:
    """A link whose download begins, and goes on when it may: the link, and the events of both."""
    begun, hold = threading.Event(), threading.Event()

    def behave(request: Request) -> None:
        begun.set()
        hold.wait(60)
        request.answer(200, content)

    return host.link("/held.7z", behave), begun, hold
