"""Requests as no library writes them: each is answered cleanly, or hung up on."""

import re
import socket
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from tests.checkouts import Checkout
from tests.web.test_live import GOOD


def end_sending(connection: socket.socket) -> None:
    """Say that nothing more comes, if the server still listens."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def answers(web: Checkout, sent: bytes) -> list[int]:
    """The statuses of everything that the server says until it hangs up."""
    received = b""
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection, suppress(ConnectionError):
        connection.sendall(sent)
        end_sending(connection)
        while data := connection.recv(65536):
            received += data
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", received, re.MULTILINE)]


PATHS = """/ /healthz /api/converter/request /api/converter/get_status/5 /api/converter/retrieve /mirror/a /static/x
/drop/1/x/0 /ws/inter/5 /api/converter/get_status/-5 /mirror/%2e%2e/%2e%2e/etc/passwd http://other.example/ * // /%
/%00 /%ff /.. /?%ff=%"""
NAMES = """Host Content-Length Transfer-Encoding Content-Type Authorization Range If-Range Expect Connection Upgrade
Idempotency-Key Sec-WebSocket-Key Sec-WebSocket-Version Sec-WebSocket-Protocol Sec-WebSocket-Extensions X_Y"""
VALUES = """0 5 -1 +5 5,6 chunked gzip,chunked 100-continue websocket Upgrade keep-alive,Upgrade 13 14 x bytes=0-
dGhlIHNhbXBsZSBub25jZQ== multipart/form-data;boundary= application/json"""

methods = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "get", "G\x00T", "", "POST POST", "\xff"])
paths = st.sampled_from([*PATHS.split(), "", "/\xff", "/" + "a" * 9000, "/api/converter/get_status/" + "9" * 5000])
versions = st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/9999999999.1", "", "X"])
names = st.sampled_from([*NAMES.split(), "", " Host", "\xe9"])
values = st.sampled_from([*VALUES.split(), "", "9" * 5000, "\xe9", "a" * 9000])
headers = st.tuples(names, values).map(": ".join)
bodies = st.sampled_from(
    [b"", b"12345", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"f" * 20 + b"\r\n", b"-5\r\n", b"\xff" * 100]
)


def written(method: str, path: str, version: str, headers: list[str], body: bytes) -> bytes:
    return "\r\n".join([f"{method} {path} {version}", *headers, "", ""]).encode("latin-1") + body


requests = st.builds(written, methods, paths, versions, st.lists(headers, max_size=6), bodies)


@given(st.lists(requests, min_size=1, max_size=3).map(b"".join) | st.binary(max_size=200))
@example(b"POST /api/converter/request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n")
@example(b"POST /drop/1/x/0 HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
@example(b"GET /ws/inter/5 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
def test_no_request_is_a_fault_of_the_server(web: Checkout, sent: bytes) -> None:
    assert [status for status in answers(web, sent) if status >= 500 and status not in (501, 505, 507)] == []


@given(st.lists(headers, max_size=4), st.permutations(GOOD), st.integers(0, 4))
def test_no_handshake_is_a_fault_of_the_server(web: Checkout, odd: list[str], good: list[str], count: int) -> None:
    head = written("GET", "/ws/inter/5", "HTTP/1.1", ["Host: x", *good[:count], *odd], b"")
    assert set(answers(web, head)) <= {101, 400, 413, 414, 426, 431, 501}


def test_the_server_is_well_after_all_that(web: Checkout) -> None:
    assert web.get("/healthz") == {"alive": True}
    logs = web.logs()
    assert "Traceback" not in logs, logs[logs.index("Traceback") - 500 :][:4000]
