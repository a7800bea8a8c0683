"""Many tickets in flight, watched and reported to a site, while parts of the installation are killed.

What must hold in the end, `verdict` says.
"""

import http.client
import json
import random
import signal
import sys
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from knossosd.tickets import keys
from knossosd.tickets.store import Receipt
from knossosd.tickets.workers import living
from tests import hosts
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.faults.cases import Archive, Case, Kind, kind_of, make_archive
from tests.faults.watcher import Watcher
from tests.hosts import Behaviour, Host, Request

TEND = """
from knossosd import tasks
from knossosd.conversion import workspace
workspace.GRACE = 5
tasks.look_after_tickets.call_local()
tasks.sweep.call_local()
"""
"""What upkeep does every few minutes, at once; who was killed is given up sooner, or a storm took a minute more."""

SETTINGS = {"LEASE_TIME": 2, "MAX_ATTEMPTS": 1000, "RESULT_LIFETIME": 3600, "CACHE_LIFETIME": 1}

KINDS = ["worker child", "consumer", "upkeep", "web", "valkey"]
"""The processes that the supervisor restarts."""

SUPERVISOR = "supervisord"
"""All others follow it, and somebody has to start it again."""

CONSUMER = "knossosd.tasks.huey"

SIGNS = {
    "upkeep": "knossosd.tasks.upkeep",
    "web": "knossosd.py serve",
    "valkey": "valkey-server",
    SUPERVISOR: "supervisord",
}
"""What stands in the command line of each kind."""

CALLED_OFF = 10
"""Of so many tickets that are submitted, one is called off, whatever it is doing by then."""

FEWEST = 3
"""Kills of a storm, at least."""

LONGEST = 150.0
"""Seconds that a storm lasts at most after everything was submitted, and that somebody asks the same meanwhile."""

UNHEARD_OF = 90.0
"""Seconds after which a webhook whose courier was killed has been made again."""

RESTART = 60.0
"""Seconds within which the supervisor has restarted whatever was killed."""


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
    shared: Archive | None = None
    breaks_off: bool = False
    """Whether the host breaks off in the middle of each archive, twice."""

    def __post_init__(self) -> None:
        self.host.link("/hook", self._take_webhook)

    # What goes on.

    def submit(self, count: int) -> None:
        """Submit so many documents, and insist until they are taken."""
        for _ in range(count):
            number = len(self.cases)
            kind, version = kind_of(number), f"1.0.{number}"
            archive = self._archive(kind, number)
            link = f"http://127.0.0.1:{self.host.server_port}/{archive.name}"
            receipt = self._insist(a_document(link, version=version), f"storm-{number}")
            watcher = Watcher(self.installation.port, receipt.ticket)
            self.cases.append(Case(receipt, version, kind, archive, watcher))
            if len(self.cases) % CALLED_OFF == 0:
                self._call_off(self.chance.choice(self.cases[-CALLED_OFF:]))

    def rage(self, kinds: list[str], count: int, every: float = 2.5, number: signal.Signals = signal.SIGKILL) -> None:
        """Submit so many documents while every so many seconds something is killed, until half of them have ended, and
        there were as many kills as there are kinds, and `FEWEST`.

        The first kill comes while they are being submitted, so that a fast machine too is hit at work. What is killed
        sooner than it can begin gets nothing done, so each kill waits until all work again.
        """
        calm = threading.Event()
        before, wanted = len(self.cases), self.kills.total() + max(FEWEST, len(kinds))

        def kill() -> None:
            while len(self.cases) < before + count / 4 and not calm.wait(0.01):
                pass
            while True:
                kind = self.chance.choice(kinds)
                self.kill_supervisor() if kind == SUPERVISOR else self.kill(kind, number)
                if calm.wait(every * (0.5 + self.chance.random())):
                    return
                while not self.is_at_work():
                    if calm.wait(0.2):
                        return

        with ThreadPoolExecutor(1) as killer:
            killing = killer.submit(kill)
            try:
                self.submit(count)
                give_up = time.monotonic() + LONGEST
                while not killing.done() and (self.kills.total() < wanted or len(self.open()) > count / 2):
                    assert time.monotonic() < give_up, f"{self.kills} kills, and still open: {self.open()}"
                    calm.wait(0.5)
            finally:
                calm.set()
            killing.result()

    def kill(self, kind: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process of a kind."""
        found = self.processes()[kind]
        if found:
            with suppress(psutil.NoSuchProcess):
                self.chance.choice(found).send_signal(number)
                self.kills[kind] += 1

    def kill_supervisor(self) -> None:
        """Kill it, and start everything again when all programs have followed."""
        self.kill(SUPERVISOR)
        wait_until(lambda: not any(self.processes().values()), "all programs have followed their supervisor", RESTART)
        self.installation.start_supervisor()

    def kill_worker_of(self, ticket: int) -> None:
        """Kill the worker process that works on the ticket, as soon as it shows that it does."""

        def at_work() -> list[psutil.Process]:
            pids = {one.pid for one in living(self.installation.redis()) if one.ticket == ticket}
            return [one for one in self.processes()["worker child"] if one.pid in pids]

        [worker] = wait_until(at_work, f"a worker shows that it works on {ticket}")
        worker.kill()
        self.kills["worker child"] += 1

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The processes of the installation by kind; those that belong to another one are "other"."""
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        for process in self.installation.processes():
            with suppress(psutil.Error):  # it has just ended
                found[_kind(process)].append(process)
        return found

    def is_at_work(self) -> bool:
        """Whether everything is there, the web process answers, and a worker shows that it lives."""
        try:
            found = self.processes()
            workers = {process.pid for process in found["worker child"]}
            shown = {one.pid for one in living(self.installation.redis())}
            return all(found[kind] for kind in KINDS) and bool(workers & shown) and self.installation.is_ready()
        except (redis.RedisError, OSError, ValueError, http.client.HTTPException):
            return False

    def open(self) -> list[int]:
        """The tickets that have not ended; a nameless one when Redis is away."""
        client = self.installation.redis()
        try:
            return [
                case.receipt.ticket
                for case in self.cases
                if client.hget(keys.record(case.receipt.ticket), "state") != "DONE"
            ]
        except redis.RedisError:
            return [0]

    def undelivered(self) -> list[str]:
        """The webhooks that are still to be made or noted: who was killed in between holds one for a while. A nameless
        one when Redis is away."""
        try:
            return self.installation.redis().zrange(keys.OUTBOX, 0, -1)
        except redis.RedisError:
            return [""]

    # How it ends.

    def settle(self) -> None:
        """Wait until every ticket has ended, every webhook was delivered, and the web process answers again."""
        deadline = time.monotonic() + RESTART + 2 * len(self.cases) + UNHEARD_OF
        while self.open() or len({ticket for ticket, _ in self.told}) < len(self.cases) or self.undelivered():
            left = f"{self.open()}, {self.undelivered()}"
            assert time.monotonic() < deadline, f"not all has ended: {left}\n{self.installation.logs()[-5000:]}"
            self.tend()
            time.sleep(0.5)
        self.installation.wait_until_ready()

    def tend(self) -> None:
        """Let upkeep's work be done now."""
        self.installation.run(sys.executable, "-c", TEND, timeout=120)

    def stop(self) -> None:
        for case in self.cases:
            case.watcher.stop()

    def _archive(self, kind: Kind, number: int) -> Archive:
        """The archive of this ticket, which the host serves from now on."""
        if kind is Kind.SHARED and self.shared:
            return self.shared
        archive = make_archive(kind, f"{number}.zip", self.folder, self.chance)
        self.host.link(f"/{archive.name}", self._serving(archive.content))
        if kind is Kind.SHARED:
            self.shared = archive
        return archive

    def _call_off(self, case: Case) -> None:
        """Cancel it, as its submitter would. It may have ended by now."""
        case.called_off = True
        self._ask("/api/converter/cancel", {"ticket": case.receipt.ticket, "token": case.receipt.token})

    def _insist(self, document: Any, idempotency_key: str) -> Receipt:
        hook = f"http://127.0.0.1:{self.host.server_port}/hook"
        fields = {"passwd": KEY, "data": document, "webhook": hook}
        answer = self._ask("/api/converter/request", fields, {"Idempotency-Key": idempotency_key})
        return Receipt(answer["ticket"], answer["token"])

    def _ask(self, path: str, fields: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """Ask until there is an answer."""
        body = json.dumps(fields).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.installation.url + path, body, headers)
        deadline = time.monotonic() + LONGEST
        while True:
            try:
                with urllib.request.urlopen(request, timeout=20) as response:
                    return json.load(response)
            except (OSError, ValueError, http.client.HTTPException) as error:
                assert time.monotonic() < deadline, f"{error}\n{self.installation.logs()[-5000:]}"
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


def _kind(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    if CONSUMER in words:
        parent = process.parent()
        return "worker child" if parent and CONSUMER in " ".join(parent.cmdline()) else "consumer"
    return next((kind for kind, sign in SIGNS.items() if sign in words), "other")
