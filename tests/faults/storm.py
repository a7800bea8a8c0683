"""Many tickets in flight, watched and reported to a site, while parts of the installation are killed.

In the end every ticket must have ended once, with the right result; every watcher must have seen each event once and in
order; the site must have been told of each ticket; and nothing may be left behind.
"""

import hashlib
import http.client
import json
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis
import websocket

from knossosd.tickets import events, keys
from knossosd.tickets.measures import Duration
from knossosd.tickets.statistics import Durations, Statistics
from knossosd.tickets.store import Receipt
from knossosd.tickets.workers import living
from tests import archives, hosts
from tests.checkouts import KEY, PATIENCE, Checkout, a_document, wait_until
from tests.hosts import Behaviour, Host, Request

TEND = "from knossosd import tasks; tasks.look_after_tickets.call_local(); tasks.sweep.call_local()"
"""What upkeep does every minute, at once."""

SETTINGS = {"LEASE_TIME": 2, "MAX_ATTEMPTS": 1000, "RESULT_LIFETIME": 3600, "CACHE_LIFETIME": 1}

KINDS = ["worker child", "consumer", "upkeep", "web", "valkey"]
"""The processes that the supervisor restarts."""

RESTART = 60.0
"""Seconds within which the supervisor has restarted whatever was killed."""


@dataclass(slots=True)
class Case:
    """One ticket of the storm."""

    receipt: Receipt
    checksum: str
    watcher: "Watcher"


class Watcher:
    """Watches a ticket as the clients do: it comes back after every break, and asks for what it has missed."""

    def __init__(self, port: int, ticket: int) -> None:
        self.ids: list[str] = []
        self.done: list[bool] = []
        self.breaks = 0
        self._url = f"ws://127.0.0.1:{port}/ws/watcher/{ticket}"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE)

    def _watch(self) -> None:
        while not self._stopped.is_set() and not self.done:
            after = f"?after={self.ids[-1]}" if self.ids else ""
            try:
                connection = websocket.create_connection(self._url + after, timeout=1)
                try:
                    self._read(connection)
                finally:
                    connection.close()
            except (OSError, websocket.WebSocketException):
                self.breaks += 1
                self._stopped.wait(0.1)

    def _read(self, connection: websocket.WebSocket) -> None:
        while not self._stopped.is_set() and not self.done:
            try:
                text = connection.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if not text:
                raise websocket.WebSocketConnectionClosedException
            name, arguments, *event_id = json.loads(text)
            self.ids += event_id
            if name == "done":
                self.done.append(arguments[0])


@dataclass(slots=True)
class Storm:
    """A storm over the `installation`, whose archives come from the `host`."""

    installation: Checkout
    host: Host
    folder: Path
    chance: random.Random
    cases: list[Case] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    told: list[tuple[int, str]] = field(default_factory=list)
    breaks_off: bool = False
    """Whether the host breaks off in the middle of each archive, twice."""

    def __post_init__(self) -> None:
        self.host.link("/hook", self._take_webhook)

    # What goes on.

    def submit(self, count: int) -> None:
        """Submit so many documents, each with an archive of its own; insist until they are taken."""
        for _ in range(count):
            number = len(self.cases)
            content = self.chance.randbytes(2000)
            archive = archives.make_zip(self.folder / f"{number}.zip", {"mod.ini": content}).read_bytes()
            link = self.host.link(f"/{number}.zip", self._serving(archive))
            receipt = self._insist(a_document(link, version=f"1.0.{number}"), f"storm-{number}")
            watcher = Watcher(self.installation.port, receipt.ticket)
            self.cases.append(Case(receipt, hashlib.sha256(content).hexdigest(), watcher))

    def rage(self, kinds: list[str], count: int, every: float = 2.5, number: signal.Signals = signal.SIGKILL) -> None:
        """Submit so many documents while every so many seconds something is killed, until half of them have ended.

        The first kill comes while they are being submitted, so that a fast machine too is hit at work.
        """
        calm = threading.Event()
        before = len(self.cases)

        def kill() -> None:
            while len(self.cases) < before + count / 4 and not calm.wait(0.01):
                pass
            while True:
                self.kill(self.chance.choice(kinds), number)
                if calm.wait(every * (0.5 + self.chance.random())):
                    return

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            self.submit(count)
            wait_until(
                lambda: (self.kills and len(self.open()) <= count / 2) or calm.wait(0.5),
                "half of them have ended, and something was killed",
                RESTART + count,
            )
        finally:
            calm.set()
            killer.join()

    def kill(self, kind: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process of a kind."""
        found = self.processes()[kind]
        if found:
            with suppress(psutil.NoSuchProcess):
                self.chance.choice(found).send_signal(number)
                self.kills[kind] += 1

    def kill_worker_of(self, ticket: int) -> None:
        """Kill the worker process that works on the ticket, as soon as it shows that it does."""

        def at_work() -> list[psutil.Process]:
            pids = {one.pid for one in living(self.redis()) if one.ticket == ticket}
            return [one for one in self.processes()["worker child"] if one.pid in pids]

        [worker] = wait_until(at_work, f"a worker shows that it works on {ticket}")
        worker.kill()
        self.kills["worker child"] += 1

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The processes of the installation by kind."""
        kinds: dict[str, list[psutil.Process]] = {
            "worker child": [], "consumer": [], "upkeep": [], "web": [], "valkey": [], "supervisord": []
        }  # fmt: skip
        for process in self.installation.processes():
            try:
                words = " ".join(process.cmdline())
                parent = process.parent()
                if "knossosd.tasks.huey" in words:
                    is_child = parent is not None and "knossosd.tasks.huey" in " ".join(parent.cmdline())
                    kinds["worker child" if is_child else "consumer"].append(process)
                elif "knossosd.tasks.upkeep" in words:
                    kinds["upkeep"].append(process)
                elif "knossosd.py serve" in words:
                    kinds["web"].append(process)
                elif "valkey-server" in words:
                    kinds["valkey"].append(process)
                elif "supervisord" in words:
                    kinds["supervisord"].append(process)
            except psutil.Error:
                continue
        return kinds

    def open(self) -> list[int]:
        """The tickets that have not ended; a nameless one when Redis is away."""
        client = self.redis()
        try:
            return [
                case.receipt.ticket
                for case in self.cases
                if client.hget(keys.record(case.receipt.ticket), "state") != "DONE"
            ]
        except redis.RedisError:
            return [0]

    # How it ends.

    def settle(self) -> None:
        """Wait until every ticket has ended, every webhook was delivered, and the web process answers again."""
        deadline = time.monotonic() + RESTART + 2 * len(self.cases)
        while self.open() or len({ticket for ticket, _ in self.told}) < len(self.cases):
            assert time.monotonic() < deadline, f"not all has ended: {self.open()}\n{self.installation.logs()[-5000:]}"
            self.tend()
            time.sleep(0.5)
        self.installation.wait_until_ready()

    def tend(self) -> None:
        """Let upkeep's work be done now."""
        self.installation.run(sys.executable, "-c", TEND, timeout=120)

    def verify(self) -> None:
        """Check everything that must hold in the end."""
        for case in self.cases:
            self._verify_case(case)
        tickets = [ticket for ticket, _ in self.told]
        assert set(tickets) == {case.receipt.ticket for case in self.cases}
        deliveries = dict(self.told)
        assert all(deliveries[ticket] == delivery for ticket, delivery in self.told), (
            "a repeated delivery has its old id"
        )
        self._verify_counts()
        self._verify_nothing_is_left()

    def _verify_counts(self) -> None:
        """Nothing that was killed took a count with it, and nothing was counted twice."""
        totals = Statistics(self.redis()).totals()
        assert totals["submissions"] == totals["tickets succeeded"] == len(self.cases)
        ends = sum(count for field, count in totals.items() if field.startswith("tickets "))
        assert Durations.of(Duration.WHOLE, totals).count == ends
        records = [self.redis().hgetall(keys.record(case.receipt.ticket)) for case in self.cases]
        attempts = sum(int(record["attempt"]) for record in records)
        assert Durations.of(Duration.WAITING, totals).count >= attempts >= len(self.cases)

    def _verify_case(self, case: Case) -> None:
        ticket, token = case.receipt
        outcome = self.installation.post("/api/converter/retrieve", ticket=ticket, token=token)
        assert outcome["success"], outcome
        [entry] = json.loads(outcome["json"])["mods"][0]["packages"][0]["filelist"]
        assert entry["checksum"] == ["sha256", case.checksum]
        history = events.past(self.redis(), ticket).events
        assert [event.name for event in history].count("done") == 1
        wait_until(lambda: case.watcher.done, f"the watcher of {ticket} saw the end")
        case.watcher.stop()
        assert case.watcher.ids == [event.id for event in history], "every event once and in order"

    def _verify_nothing_is_left(self) -> None:
        client = self.redis()
        assert client.zcard(keys.WORKING) == client.zcard(keys.QUEUE) == client.zcard(keys.OUTBOX) == 0
        wait_until(lambda: not list(client.scan_iter("knossosd:*lease*")), "every lease has run out")
        wait_until(lambda: not client.llen("huey.redis.knossosdconvert"), "no message is left")
        mirror = self.installation.folder / "var" / "mirror"
        for _ in range(int(PATIENCE)):
            self.tend()
            left = list((mirror / ".work").iterdir())
            if not left:
                break
            time.sleep(2)  # a young folder is let alone for a while
        assert left == []
        published = {path.name for path in mirror.glob("my_mod/*/*")}
        assert published == {f"{number}.zip" for number in range(len(self.cases))}
        assert all(len(found) >= 1 for kind, found in self.processes().items() if kind != "supervisord")

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.installation.folder / "var/redis.sock"), decode_responses=True)

    def stop(self) -> None:
        for case in self.cases:
            case.watcher.stop()

    def _insist(self, document: Any, idempotency_key: str) -> Receipt:
        hook = f"http://127.0.0.1:{self.host.server_port}/hook"
        body = json.dumps({"passwd": KEY, "data": document, "webhook": hook}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        request = urllib.request.Request(f"{self.installation.url}/api/converter/request", body, headers)
        deadline = time.monotonic() + RESTART
        while True:
            try:
                with urllib.request.urlopen(request, timeout=20) as response:
                    answer = json.load(response)
                return Receipt(answer["ticket"], answer["token"])
            except (OSError, ValueError, http.client.HTTPException) as error:
                assert time.monotonic() < deadline, error
                time.sleep(0.2)

    def _serving(self, content: bytes) -> Behaviour:
        whole = hosts.serves(content)
        if self.breaks_off:
            part = len(content) // 3
            whole = hosts.one_after_the_other(hosts.drops(content, part), hosts.drops(content, part), whole)

        def behave(request: Request) -> None:
            request.server.stopping.wait(self.chance.random() * 0.3)
            whole(request)

        return behave

    def _take_webhook(self, request: Request) -> None:
        ticket = int(request.body.decode().removeprefix("ticket="))
        self.told.append((ticket, request.headers["X-Knossos-Delivery"]))
        request.answer(200)


@contextmanager
def storm(installation: Checkout, host: Host, folder: Path, seed: int) -> Iterator[Storm]:
    """A storm whose threads end with the block."""
    one = Storm(installation, host, folder, random.Random(seed))
    try:
        yield one
    finally:
        one.stop()
