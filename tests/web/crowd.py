"""Many large uploads at the same time, sent from little memory, and what they cost the web process."""

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tests.checkouts import KEY, Checkout

MAGIC = b"7z\xbc\xaf\x27\x1c"
BLOCK = bytes(1024 * 1024)
BEARER = {"Authorization": f"Bearer {KEY}"}


def file(number: int, size: int) -> Iterator[bytes]:
    """An archive of so many bytes, for all that anybody sees of it, and another one for each number."""
    head = MAGIC + number.to_bytes(8, "big")
    yield head
    left = size - len(head)
    while left > 0:
        yield BLOCK[:left]
        left -= len(BLOCK)


def drop_all(web: Checkout, count: int, size: int) -> list[Any]:
    """Upload so many files of so many bytes side by side, each in one request; returns the answers."""

    def drop(number: int) -> Any:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="core.7z"\r\n\r\n'
        tail = b"\r\n--b--\r\n"
        headers = {
            **BEARER,
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": str(len(head) + size + len(tail)),
        }

        def body() -> Iterator[bytes]:
            yield head
            yield from file(number, size)
            yield tail

        return _ask(web, "POST", f"/drop/{int(time.time())}/-/0", body(), headers)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(drop, range(count)))


def send_all_in_parts(web: Checkout, count: int, size: int) -> list[Any]:
    """Send all parts of so many files of so many bytes, one after the other, but the files side by side."""

    def send(number: int) -> Any:
        upload = _ask(
            web, "POST", "/api/chunked", json.dumps({"filename": "core.7z", "size": size}), {**BEARER, **JSON}
        )
        token = {"Authorization": f"Bearer {upload['token']}"}
        for part in range(upload["parts"]):
            length = min(upload["part_size"], size - part * upload["part_size"])
            first = number if part == 0 else None
            path = f"/api/chunked/{upload['id']}/parts/{part}?sha256={_sha256(first, length)}"
            _ask(web, "PUT", path, _part(first, length), {**token, "Content-Length": str(length)})
        return _ask(web, "GET", f"/api/chunked/{upload['id']}", None, token)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(send, range(count)))


JSON = {"Content-Type": "application/json"}


def _part(first: int | None, length: int) -> Iterator[bytes]:
    if first is not None:
        yield from file(first, length)
        return
    for start in range(0, length, len(BLOCK)):
        yield BLOCK[: length - start]


@cache
def _sha256(first: int | None, length: int) -> str:
    digest = hashlib.sha256()
    for piece in _part(first, length):
        digest.update(piece)
    return digest.hexdigest()


def _ask(web: Checkout, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=600)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, (response.status, answer)
        return json.loads(answer)
    finally:
        connection.close()


@dataclass
class Cost:
    """What a process needed while it was watched: bytes of memory before and at most, and the seconds that somebody
    else's short request waited at most."""

    before: int = 0
    peak: int = 0
    longest_wait: float = 0.0
    seconds: float = 0.0

    @property
    def grown(self) -> int:
        return self.peak - self.before


@contextmanager
def watched(web: Checkout, pid: int) -> Iterator[Cost]:
    """The cost of the block to the web process with this id."""
    process, done = psutil.Process(pid), threading.Event()
    cost = Cost(before=process.memory_info().rss)
    _forget_peak(pid)

    def poll() -> None:
        while not done.wait(0.1):
            start = time.monotonic()
            web.get("/healthz")
            cost.longest_wait = max(cost.longest_wait, time.monotonic() - start)
            cost.peak = max(cost.peak, process.memory_info().rss)

    poller, start = threading.Thread(target=poll), time.monotonic()
    poller.start()
    try:
        yield cost
    finally:
        cost.seconds = time.monotonic() - start
        done.set()
        poller.join()
        cost.peak = max(cost.peak, _kernel_peak(pid))


def _forget_peak(pid: int) -> None:
    """Let the kernel begin anew with the peak that it keeps, where it keeps one."""
    reset = Path(f"/proc/{pid}/clear_refs")
    if reset.exists():
        reset.write_text("5")


def _kernel_peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


WAYS: dict[str, Callable[[Checkout, int, int], list[Any]]] = {"one request": drop_all, "parts": send_all_in_parts}
