"""Clients that take their time, want too much, or speak no HTTP: real connections to a real server."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests import checkouts
from tests.checkouts import KEY, Checkout, wait_until
from tests.web.test_api import DOCUMENT, request

SAFE = {
    b"x-content-type-options: nosniff",
    b"x-frame-options: deny",
    b"referrer-policy: same-origin",
}
SPEED = 2000
BIG = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def strict(valkey: str) -> Iterator[Checkout]:
    """A web process that waits for nobody."""
    limits = {"HEADER_TIMEOUT": 0.7, "KEEP_ALIVE": 0.7, "CLIENT_TIMEOUT": 2, "CLIENT_SPEED": SPEED}
    with checkouts.checkout(REDIS=valkey, **limits) as copy:
        copy.start_web()
        mirror = copy.folder / "var" / "mirror"
        mirror.mkdir(exist_ok=True)
        with (mirror / "big.7z").open("wb") as file:
            file.truncate(BIG)
        yield copy


def connect(web: Checkout, sent: bytes = b"", room: int | None = None) -> socket.socket:
    """A connection on which that was sent. `room` is how many bytes the kernel keeps for who reads."""
    connection = socket.socket()
    connection.settimeout(30)
    if room:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.connect(("127.0.0.1", web.port))
    connection.sendall(sent)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = bytearray()
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return bytes(received)


def drip(connection: socket.socket, endless: bytes, pause: float) -> bytes:
    """Send byte after byte until the server has had enough; returns what it said."""
    over = threading.Event()

    def go_on() -> None:
        position = 0
        while not over.wait(pause):
            try:
                connection.send(endless[position % len(endless) :][:1])
            except OSError:
                return
            position += 1

    dripping = threading.Thread(target=go_on)
    dripping.start()
    try:
        return rest(connection)
    finally:
        over.set()
        dripping.join()


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nX-Long: "], ids=["in the first line", "in the headers"])
def test_a_head_that_drips_is_given_up(strict: Checkout, begin: bytes) -> None:
    with connect(strict, begin) as connection:
        answer = drip(connection, b"GET" if not begin else b"x", 0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert_safe(answer)


def test_a_connection_that_says_nothing_is_closed(strict: Checkout) -> None:
    with connect(strict) as connection:
        assert rest(connection) == b""


def test_a_connection_on_which_nothing_more_is_asked_is_closed(strict: Checkout) -> None:
    with connect(strict, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        assert rest(connection).count(b"HTTP/1.1 200 ") == 1


def body_of(size: int, path: str = "/api/converter/request") -> bytes:
    kind = "application/x-www-form-urlencoded"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode()


def test_a_body_that_drips_is_given_up(strict: Checkout) -> None:
    with connect(strict, body_of(100_000)) as connection:
        answer = drip(connection, b"data=x", 0.05)
    assert b"The request was cut off." in answer
    assert answer.count(b"HTTP/1.1 ") == 1, "what still comes is not taken for another request"


def test_chunks_that_drip_are_given_up(strict: Checkout) -> None:
    head = b"POST /api/converter/request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(strict, head) as connection:
        assert b"The request was cut off." in drip(connection, b"1\r\nx\r\n", 0.05)


def test_a_slow_but_steady_body_is_taken(strict: Checkout) -> None:
    """It takes longer than any silence may."""
    body = f"passwd={KEY}&data=".encode() + DOCUMENT.encode().ljust(40_000)
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    with connect(strict, body_of(len(body))) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.08)  # 12,500 bytes a second, 3.2 seconds in all
        assert b'{"ticket": ' in connection.recv(65536)


def test_a_reader_who_takes_nothing_is_given_up(strict: Checkout) -> None:
    with connect(strict, b"GET /mirror/big.7z HTTP/1.1\r\nHost: x\r\n\r\n", room=4096) as connection:
        wait_until(lambda: "/mirror/big.7z" in strict.logs(), "the server has given up")
        assert 0 < len(rest(connection)) < BIG
    assert "Traceback" not in strict.logs()


@pytest.mark.parametrize("pause", [0, 1.2])
def test_a_reader_who_takes_some_gets_everything(strict: Checkout, pause: float) -> None:
    """Also one for whom the kernel keeps so much that it wants no more for longer than any silence may last.

    The reader's own kernel keeps little: with megabytes of room it would say nothing of 200,000 bytes that were read.
    """
    with connect(strict, b"GET /mirror/big.7z HTTP/1.0\r\n\r\n", room=200_000) as connection:
        received = 0
        for _ in range(5 if pause else 0):
            received += len(connection.recv(200_000, socket.MSG_WAITALL))
            time.sleep(pause)
        assert received + len(rest(connection)) > BIG


def test_many_who_dawdle_hold_nobody_up(strict: Checkout) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(strict, b"POST /api/converter/request HTTP/1.1\r\nX-Slow: "))
        assert strict.get("/healthz") == {"alive": True}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 150 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(90)) + b"\r\n", 431),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/7.7\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5_0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ],
)
def test_a_head_that_makes_no_sense_is_one_clean_answer(strict: Checkout, sent: bytes, status: int) -> None:
    with connect(strict, sent) as connection:
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:100]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert_safe(answer)
    assert "Traceback" not in strict.logs()


def test_who_leaves_in_the_middle_of_a_head_is_no_fault(strict: Checkout) -> None:
    for _ in range(20):
        connection = connect(strict, b"GET / HTTP/1.1\r\nX: y")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leave with a reset
        connection.close()
    assert strict.get("/healthz") == {"alive": True}
    strict.log_lines("web")  # each of which is JSON


def assert_safe(answer: bytes) -> None:
    head = {line.lower() for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")}
    assert head >= SAFE, head
    assert sum(line.startswith(b"content-security-policy: ") for line in head) == 1
    assert any(b"frame-ancestors 'none'" in line for line in head)


MARK = "%3Cscript%3Emark9%3C/script%3E"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/converter", "/tasks", "/watch/5", "/schema.json", "/healthz", "/readyz",
        "/static/converter.js", "/static/knossosd.css", f"/static/{MARK}", "/mirror/big.7z", f"/mirror/{MARK}",
        "/api/list_tasks", "/api/converter/get_status/5", f"/api/converter/get_status/{MARK}",
        "/api/converter/request", "/api/converter/retrieve", "/api/converter/cancel", "/api/tasks/5/remove",
        "/drop/1/x/0", f"/drop/1/{MARK}/0", "/ws/watcher/5", "/ws/inter/5", f"/ws/watcher/{MARK}",
        f"/{MARK}", f"/?q={MARK}", f"/watch/5?q={MARK}", "/%ff%fe", "//evil.example/", "/%0d%0aX-Injected:%20mark9",
        f"/watch/{MARK}", "/watch/99999999999999999999999999",
    ],
)  # fmt: skip
def test_every_answer_is_safe_and_shows_nothing_that_was_sent(strict: Checkout, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "TRACE", "ODD"):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: mark9.example\r\nReferer: http://mark9\r\nX-Forwarded-Host: mark9\r\n"
        )
        if path.endswith("big.7z"):
            head += "Range: bytes=0-9\r\n"
        with connect(strict, f"{head}Connection: close\r\n\r\n".encode()) as connection:
            answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 "), method
        assert not answer.startswith(b"HTTP/1.1 500 "), method
        assert_safe(answer)
        assert b"mark9" not in answer.lower()
        assert b"<script>" not in answer


@pytest.fixture(scope="module")
def small(valkey: str) -> Iterator[Checkout]:
    """A web process that has little room."""
    with checkouts.checkout(REDIS=valkey, CONNECTIONS_PER_ADDRESS=4, WATCHERS_PER_ADDRESS=2) as copy:
        copy.start_web()
        yield copy


def test_an_address_has_so_many_connections(small: Checkout) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(connect(small, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) for _ in range(4)]
        assert {connection.recv(12) for connection in held} == {b"HTTP/1.1 200"}
        for _ in range(3):
            with connect(small) as refused:
                answer = rest(refused)
                assert answer.startswith(b"HTTP/1.1 429 ")
                assert b"\r\nRetry-After: " in answer
                assert_safe(answer)
    wait_until(lambda: answers(small), "there is room again")


def answers(web: Checkout) -> bool:
    try:
        return request(web, "GET", "/healthz")[0] == 200
    except OSError:
        return False


def test_a_proxy_may_have_more_connections(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey, CONNECTIONS_PER_ADDRESS=2, TRUSTED_PROXIES=("127.0.0.0/8",)) as copy:
        copy.start_web()
        with ExitStack() as stack:
            held = [stack.enter_context(connect(copy, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) for _ in range(9)]
            assert {connection.recv(12) for connection in held} == {b"HTTP/1.1 200"}


def test_secrets_stand_in_no_log(valkey: str, settings: Any) -> None:
    """Whichever way they are brought, and whatever is wrong with the request."""
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_web()
        named = copy.verb("keys", "add", "somebody").stdout.strip()
        ticket, token = copy.submit(
            checkouts.a_document("http://127.0.0.1:1/x.7z"), webhook="http://127.0.0.1:1/h?s=5ecret"
        )
        basic = "bmFtZTphLXZlcnktc2VjcmV0LWtleQ=="
        for key in (KEY, named):
            for head in (
                f"GET /api/list_tasks HTTP/1.1\r\nAuthorization: Bearer {key}",
                f"GET /api/list_tasks HTTP/1.1\r\nAuthorization: Basic {basic}",
                f"GET /api/list_tasks?passwd={key}&token={token} HTTP/1.1",
                f"GET /api/list_tasks?passwd={key} HTTP/9.9",
                f"GET /watch/{ticket}?token={token} HTTP/1.1",
                f"GET /ws/watcher/{ticket}?token={token} HTTP/1.1",
                f"POST /drop/17/{token}/0 HTTP/1.1",
                f"POST /drop/17/{token}/0 HTTP/1.1\r\nContent-Length: x",
                f"Authorization: Bearer {key}",
            ):
                with connect(copy, f"{head}\r\nConnection: close\r\n\r\n".encode()) as connection:
                    rest(connection)
            copy.post("/api/converter/retrieve", ticket=ticket, token=token, passwd=key)
        wait_until(lambda: copy.logs().count("/api/converter/retrieve") == 2, "everything is logged")
        for secret in (KEY, named, token, basic, "5ecret"):
            assert secret not in copy.logs()
