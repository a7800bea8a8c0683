#!/usr/bin/env python3
"""A process that holds many watchers on raw sockets, and notes how long each event was on its way to each of them.

    python benchmarks/watchers.py ORDER

ORDER is a JSON object: `port`; `tickets`, one for each watcher; `arrivals`, the events to expect, of all watchers
together; `seconds`, after which it gives up. An event is a log line that says when it was told, by the monotonic clock
that all processes of a machine share. Prints a line with the seconds that it took until every watcher had seen its
ticket's first line (which must say `hello`), and then a line with the milliseconds of all arrivals. The watchers stay
until standard input ends: what their leaving costs the server must not delay what others are still waiting for.
"""

import json
import re
import resource
import selectors
import socket
import sys
import time
from collections.abc import Iterable, Sequence

AT_ONCE = 50
"""Watchers that come at the same moment."""

PATIENCE = 30.0
HANDSHAKE = (
    "GET /ws/watcher/{} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TOLD = re.compile(rb"INFO: (\d+\.\d+)")
PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"


def allow_sockets(count: int) -> None:
    """Let this process, and what it starts, hold so many sockets and a few files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count + 200, hard)), hard))


def connected(port: int, tickets: Sequence[int]) -> Iterable[socket.socket]:
    """A watcher for each of the `tickets`, when it has seen the first line."""
    for start in range(0, len(tickets), AT_ONCE):
        some = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in tickets[start : start + AT_ONCE]]
        for watcher, ticket in zip(some, tickets[start:], strict=False):
            watcher.sendall(HANDSHAKE.format(ticket).encode())
        for watcher in some:
            seen = b""
            while b"hello" not in seen:
                seen += watcher.recv(4096) or sys.exit(f"a watcher was sent away: {seen!r}")
        yield from some


def arrivals(watchers: Iterable[socket.socket], count: int, seconds: float) -> list[float]:
    """Seconds that each of `count` events was on its way; fewer when they do not come within `seconds`."""
    delays: list[float] = []
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for watcher in watchers:
            selector.register(watcher, selectors.EVENT_READ)
        while len(delays) < count and time.monotonic() < deadline:
            for key, _ in selector.select(1.0):
                received = key.fileobj.recv(65536)
                now = time.monotonic()
                if not received:
                    selector.unregister(key.fileobj)
                if PING in received:
                    key.fileobj.sendall(PONG)
                delays += [now - float(told) for told in TOLD.findall(received)]
    return delays


def main() -> None:
    order = json.loads(sys.argv[1])
    allow_sockets(len(order["tickets"]))
    began = time.monotonic()
    watchers = list(connected(order["port"], order["tickets"]))
    print(time.monotonic() - began, flush=True)
    delays = arrivals(watchers, order["arrivals"], order["seconds"])
    print(*(f"{delay * 1000:.2f}" for delay in delays), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
