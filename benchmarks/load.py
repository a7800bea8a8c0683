#!/usr/bin/env python3
"""A process that asks the same things over and over, on connections that stay open, and prints the answers per second.

    python benchmarks/load.py ORDER

ORDER is a JSON object: `port`; `requests`, HTTP requests as text, made in turns; `connections`; `seconds`. Every answer
must be 200.
"""

import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from itertools import cycle

PATIENCE = 20.0
"""Seconds that an answer may take."""

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def is_whole(answer: bytes) -> bool:
    """Whether the answer has come to its end. Raises `ValueError` when it is not 200."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or not length:
        raise ValueError(f"unexpected answer: {answer[:300]!r}")
    return len(body) >= int(length[1])


def rate(port: int, requests: Sequence[str], connections: int, seconds: float) -> float:
    """Answers per second while each of the `connections` makes one request after the other."""
    asked, count = cycle([request.encode() for request in requests]), 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
            selector.register(connection, selectors.EVENT_READ, bytearray())
            connection.sendall(next(asked))
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError(f"no answer in {PATIENCE} s")
            for key, _ in ready:
                key.data.extend(key.fileobj.recv(65536))
                if is_whole(bytes(key.data)):
                    count += 1
                    key.data.clear()
                    key.fileobj.sendall(next(asked))
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    return count / elapsed


if __name__ == "__main__":
    print(rate(**json.loads(sys.argv[1])))
