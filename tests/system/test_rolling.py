"""Restarting the web processes one after the other: those who watch do not notice, but for a status code."""

import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
import websocket

from knossosd.conversion.observer import Level
from knossosd.settings import Settings
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Tickets
from tests import checkouts
from tests.checkouts import Checkout, wait_until

WATCHERS = 20
SERVICE_RESTART = 1012

REQUEST = ("POST /api/converter/retrieve HTTP/1.1", "Content-Length: 8")
HANDSHAKE = (
    "GET /ws/watcher/5 HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
)  # fmt: skip


class Watcher(threading.Thread):
    """Watches a ticket to its end, and comes back whenever it is sent away."""

    def __init__(self, web: Checkout, ticket: int) -> None:
        super().__init__(daemon=True)
        self.url = f"ws://127.0.0.1:{web.port}/ws/watcher/{ticket}"
        self.lines: list[str] = []
        self.codes: Counter[int] = Counter()
        self.refusals: list[Exception] = []
        self._last = ""
        self._done = False

    def run(self) -> None:
        while not self._done:
            try:
                connection = websocket.create_connection(f"{self.url}?after={self._last}", timeout=30)
            except (OSError, websocket.WebSocketException) as error:
                self.refusals.append(error)
                time.sleep(0.05)
                continue
            self._listen(connection)
            connection.close()

    def _listen(self, connection: websocket.WebSocket) -> None:
        while not self._done:
            opcode, data = connection.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.codes[int.from_bytes(data[:2], "big")] += 1
                return
            name, arguments, *rest = json.loads(data)
            if name == "log_message" and rest:
                self.lines.append(arguments[0])
            self._last = rest[0] if rest else self._last
            self._done = name == "done"


@pytest.fixture
def two_webs(valkey: str, redis_client: redis.Redis) -> Iterator[Checkout]:
    with checkouts.checkout(REDIS=valkey) as copy:
        conf = copy.folder / "supervisord.conf"
        conf.write_text(conf.read_text().replace("numprocs=1", "numprocs=2"))
        copy.start_supervisor()
        wait_until(lambda: is_running(copy, "web_0") and is_running(copy, "web_1"), "both web processes run")
        yield copy


def is_running(copy: Checkout, name: str) -> bool:
    return "RUNNING" in copy.supervisorctl("status", f"web:{name}")


def test_whoever_comes_back_misses_nothing_and_sees_nothing_twice(
    two_webs: Checkout, redis_client: redis.Redis, settings: Settings
) -> None:
    tickets = Tickets(redis_client, settings)
    ticket = tickets.create("{}", title="t").ticket
    execution = Execution.claim(tickets, ticket)
    assert execution is not None
    watchers = [Watcher(two_webs, ticket) for _ in range(WATCHERS)]
    said: list[str] = []
    is_over = threading.Event()

    def talk() -> None:
        while not is_over.wait(0.01):
            execution.log(Level.INFO, str(len(said)))
            said.append(f"INFO: {len(said)}")
        execution.finish(Outcome("{}"))

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        for watcher in watchers:
            watcher.start()
        wait_until(lambda: all(watcher.lines for watcher in watchers), "everybody watches")
        for name in ("web_0", "web_1"):
            two_webs.supervisorctl("restart", f"web:{name}")
            wait_until(lambda name=name: is_running(two_webs, name), f"{name} runs again")
    finally:
        is_over.set()
        talker.join(30)
    for watcher in watchers:
        watcher.join(30)
    assert [watcher.lines for watcher in watchers] == [said] * WATCHERS
    assert all(set(watcher.codes) == {SERVICE_RESTART} for watcher in watchers), [one.codes for one in watchers]
    assert [str(error) for watcher in watchers for error in watcher.refusals] == []


@pytest.mark.parametrize(("lines", "status"), [(REQUEST, 200), (HANDSHAKE, 503)], ids=["request", "handshake"])
def test_who_has_begun_to_ask_is_answered(valkey: str, lines: tuple[str, ...], status: int) -> None:
    """A handshake that comes too late is told to come back, which leads to another process."""
    asked = "\r\n".join((*lines, "Host: x", "", "ticket=5")).encode()
    with checkouts.checkout(REDIS=valkey) as copy:
        web = copy.start_web()
        with socket.create_connection(("127.0.0.1", copy.port), timeout=30) as connection:
            connection.sendall(asked[:20])
            web.send_signal(signal.SIGTERM)
            wait_until(lambda: not accepts(copy), "nobody is taken any more")
            web.send_signal(signal.SIGTERM)
            connection.sendall(asked[20:])
            assert connection.makefile("rb").readline().split()[1] == str(status).encode()
        assert web.wait(30) == 0
        assert not [line for line in copy.logs().splitlines() if json.loads(line)["level"] != "INFO"]


def accepts(copy: Checkout) -> bool:
    try:
        socket.create_connection(("127.0.0.1", copy.port), timeout=5).close()
    except OSError:
        return False
    return True
