"""Large bodies are refused before they are read, wherever none is wanted, and the connection is closed."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor

import bottle
import pytest

from knossosd.web.bodies import SMALL
from tests.checkouts import Checkout

HUGE = 10**12
OTHERWISE = {
    ("POST", "/drop/<t:int>/<token>/<kid:int>"): b"403",
    ("PUT", "/api/chunked/<upload>/parts/<number:int>"): b"404",
    ("HEAD", "/mirror/<name:path>"): b"400",
}
"""Routes that take large bodies, but not of strangers; and what gevent refuses by itself."""


def ask(web: Checkout, head: str, body: bytes = b"") -> bytes:
    """All that the server says until it closes the connection."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        return connection.makefile("rb").read()


def test_every_route_refuses_a_huge_body_without_reading_it(web: Checkout, routes: list[bottle.Route]) -> None:
    """A client that sends no more than the beginning has its answer, so nothing was waited for."""

    def refused(route: bottle.Route) -> None:
        path = re.sub(r"<\w+:path>", "a/b", re.sub(r"<(\w+)(:int)?>", "1", route.rule))
        answer = ask(web, f"{route.method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {HUGE}", b"x" * 1000)
        expected = OTHERWISE.get((route.method, route.rule), b"413")
        assert answer.split()[1] == expected, (route.method, route.rule, answer)
        assert b"\r\nconnection: close\r\n" in answer.lower(), (route.method, route.rule, answer)

    assert len(routes) > 20
    with ThreadPoolExecutor(len(routes)) as threads:
        list(threads.map(refused, routes))


@pytest.mark.parametrize(("line", "status"), [("POST /nowhere", b"404"), ("PUT /healthz", b"405")])
def test_so_do_addresses_where_there_is_nothing(web: Checkout, line: str, status: bytes) -> None:
    answer = ask(web, f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {HUGE}", b"x" * 1000)
    assert answer.split()[1] == status
    assert b"\r\nconnection: close\r\n" in answer.lower()


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "+5", "1_0", "0x10", "²"])
def test_a_length_that_is_no_number_is_no_length(web: Checkout, length: str) -> None:
    for path in ("/api/chunked", "/drop/1/x/0", "/healthz"):
        answer = ask(web, f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}")
        assert answer.split()[1][:1] == b"4", (path, answer)


@pytest.mark.parametrize("length", [0, 1, SMALL])
def test_a_small_body_that_nobody_wanted_does_no_harm(web: Checkout, length: int) -> None:
    head = f"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"x" * length + b"GET /healthz HTTP/1.0\r\n\r\n")
        answers = connection.makefile("rb").read()
    assert re.findall(rb"HTTP/1\.[01] (\d+)", answers) == [b"405", b"200"]


def test_whoever_asks_before_sending_is_not_told_to_go_on(web: Checkout) -> None:
    for path in ("/api/chunked", "/api/converter/request", "/nowhere", "/drop/1/x/0"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {HUGE}\r\nExpect: 100-continue"
        answer = ask(web, head)
        assert answer.count(b"HTTP/1.1") == 1, answer
        assert b"100 Continue" not in answer


def test_a_body_without_a_length_is_cut_off(web: Checkout) -> None:
    """It is read so far that a well-behaved client sees the answer, and no further."""
    head = "POST /api/tasks/1/cancel HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert sent_before_the_end(connection, chunk, at_most=1000) < 1000


def sent_before_the_end(connection: socket.socket, chunk: bytes, at_most: int) -> int:
    """How many chunks the server takes before it closes the connection."""
    for sent in range(at_most):
        try:
            connection.sendall(chunk)
        except (ConnectionResetError, BrokenPipeError):
            return sent
    return at_most
