"""Calling conversions off in a whole installation, in every way and whatever they wait for.

Everything here would go on for ten minutes if nobody called it off.
"""

import fcntl
import json
import socket
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket

from knossosd.conversion.mirror import LOCKS
from knossosd.tickets import events, keys
from knossosd.tickets.workers import living
from tests import archives, checkouts, hosts
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.conversion.test_calling_off import standing_still
from tests.hosts import Host, Request

AGES = 600
WORKERS = 2
"""As many as supervisord.conf has."""

Ticket = tuple[int, str]
Way = Callable[[Checkout, Ticket], bool]
Waiting = Callable[["Scene"], AbstractContextManager[Ticket]]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """An installation that waits for everything, with a 7-Zip that stands still."""
    program, _ = standing_still(tmp_path_factory.mktemp("sevenzip"), "l ", "-so")
    limits = {"IDLE_TIMEOUT": AGES, "CONNECT_TIMEOUT": AGES, "ANSWER_TIMEOUT": AGES, "RESULT_LIFETIME": AGES}
    with checkouts.checkout(SEVENZIP=str(program), **limits) as copy:
        copy.start_supervisor()
        yield copy


class Scene:
    """An installation, a host, and a place for files."""

    def __init__(self, installation: Checkout, host: Host, folder: Path) -> None:
        self.installation = installation
        self.host = host
        self.folder = folder
        self.told: list[bytes] = []
        self.hook = host.link("/hook", self._take_webhook)
        self.redis = installation.redis()

    def submit(self, link: str, **more: Any) -> Ticket:
        return self.installation.submit(a_document(link, **more), webhook=self.hook)

    def cancel(self, ticket: Ticket) -> None:
        by_token(self.installation, ticket)

    def wait_for_line(self, ticket: Ticket, words: str) -> None:
        def is_told() -> bool:
            past = events.past(self.redis, ticket[0]).events
            return any(words in str(event.arguments) for event in past)

        wait_until(is_told, f"it says: {words}")

    def _take_webhook(self, request: Request) -> None:
        self.told.append(request.body)
        request.answer(200)

    # What there is in the end.

    def traces(self) -> dict[str, Any]:
        """Everything that conversions have while they run, by what it is."""
        programs = [one for one in self.installation.processes() if "7zz" in " ".join(one.cmdline())]
        return {
            "7-Zip": [one.pid for one in programs if one.status() != psutil.STATUS_ZOMBIE],
            "files": list((self.installation.folder / "var" / "mirror" / ".work").glob("*")),
            "published": list((self.installation.folder / "var" / "mirror").glob("my_mod/*/*")),
            "leases": self.redis.keys("knossosd:*lease*"),
            "workers": [one.ticket for one in living(self.redis) if one.ticket],
        }

    def is_clean(self) -> bool:
        try:
            return not any(self.traces().values())
        except psutil.Error:  # it has just ended
            return False


@pytest.fixture
def scene(patient: Checkout, host: Host, tmp_path: Path) -> Scene:
    return Scene(patient, host, tmp_path)


# The ways


def by_token(installation: Checkout, ticket: Ticket) -> bool:
    answer = installation.post("/api/converter/cancel", ticket=ticket[0], token=ticket[1])
    return bool(answer["cancelled"])


def by_operator(installation: Checkout, ticket: Ticket) -> bool:
    url, headers = f"{installation.url}/api/tasks/{ticket[0]}/cancel", {"Authorization": f"Bearer {KEY}"}
    with urllib.request.urlopen(urllib.request.Request(url, b"", headers), timeout=10) as response:
        return bool(json.load(response)["done"])


def by_command(installation: Checkout, ticket: Ticket) -> bool:
    return installation.verb("tickets", "cancel", str(ticket[0])).returncode == 0


# What a conversion waits for


def silent(request: Request) -> None:
    """Begins with the body, and falls silent."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(50_000))
    request.server.stopping.wait(AGES)


@contextmanager
def for_a_worker(scene: Scene) -> Iterator[Ticket]:
    """All workers have something to do."""
    link = scene.host.link("/a.7z", silent)
    running = [scene.submit(link, id=f"mod_{number}") for number in range(WORKERS)]
    wait_until(lambda: scene.redis.zcard(keys.WORKING) == WORKERS, "all workers are at it")
    yield scene.submit(link)
    for ticket in running:
        scene.cancel(ticket)


@contextmanager
def for_a_host(scene: Scene) -> Iterator[Ticket]:
    ticket = scene.submit(scene.host.link("/a.7z", silent))
    wait_until(lambda: scene.host.requests, "the host is asked")
    yield ticket


@contextmanager
def for_a_handshake(scene: Scene) -> Iterator[Ticket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ticket = scene.submit(f"https://127.0.0.1:{server.getsockname()[1]}/a.7z")
        connection, _ = server.accept()
        assert connection.recv(1) == b"\x16", "the client's hello"
        with connection:
            yield ticket


@contextmanager
def for_somebody_who_fetches_the_same(scene: Scene) -> Iterator[Ticket]:
    link = scene.host.link("/a.7z", silent)
    other = scene.submit(link)
    wait_until(lambda: scene.host.requests, "the host is asked")
    ticket = scene.submit(link, id="other_mod")
    scene.wait_for_line(ticket, "Another conversion is downloading")
    yield ticket
    scene.cancel(other)


@contextmanager
def for_somebody_who_types(scene: Scene) -> Iterator[Ticket]:
    page = b'<html><form method="post"><img src="/captcha.png"><input name="code"></form></html>'
    ticket = scene.submit(scene.host.link("/a.7z", hosts.says(200, page)))
    wait_until(lambda: scene.redis.hget(keys.record(ticket[0]), "question"), "it asks")
    yield ticket


@contextmanager
def for_7zip(scene: Scene) -> Iterator[Ticket]:
    content = archives.pack(scene.folder / "a.7z", archives.PLAIN).read_bytes()
    ticket = scene.submit(scene.host.link("/a.7z", hosts.serves(content)))
    wait_until(lambda: len(scene.traces()["7-Zip"]) >= 2, "one lists and one unpacks")
    yield ticket


@contextmanager
def for_somebody_who_publishes(scene: Scene) -> Iterator[Ticket]:
    ledger = scene.installation.folder / "var" / "mirror" / ".published"
    ledger.mkdir(parents=True, exist_ok=True)
    with (ledger / f".publishing-{zlib.crc32(b'my_mod') % LOCKS}").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = a_document(scene.host.link("/readme.txt", hosts.serves(b"Read me.")))
        document["packages"][0]["files"][0]["is_archive"] = False
        ticket = scene.installation.submit(document, webhook=scene.hook)
        scene.wait_for_line(ticket, "'done'")
        yield ticket


@pytest.mark.parametrize(
    ("waiting", "way"),
    [
        (for_a_worker, by_token),
        (for_a_host, by_operator),
        (for_a_handshake, by_command),
        (for_somebody_who_fetches_the_same, by_operator),
        (for_somebody_who_types, by_token),
        (for_7zip, by_command),
        (for_somebody_who_publishes, by_token),
    ],
)
def test_what_is_called_off_ends_at_once_and_leaves_nothing(waiting: Waiting, way: Way, scene: Scene) -> None:
    with waiting(scene) as ticket:
        done: list[bool] = []
        watcher = threading.Thread(target=lambda: done.append(how_it_ends(scene.installation, ticket)))
        watcher.start()
        assert way(scene.installation, ticket)
        assert not way(scene.installation, ticket)
        outcome = scene.installation.outcome(*ticket)
        watcher.join(30)
        assert ([error["code"] for error in outcome["errors"]], done) == (["cancelled"], [False])
    wait_until(scene.is_clean, "nothing is left")
    wait_until(lambda: f"ticket={ticket[0]}".encode() in scene.told, "the site is told")
    assert scene.told.count(f"ticket={ticket[0]}".encode()) == 1


def how_it_ends(installation: Checkout, ticket: Ticket) -> bool:
    """What a watcher is told in the end."""
    url = f"ws://127.0.0.1:{installation.port}/ws/watcher/{ticket[0]}"
    connection = websocket.create_connection(url, timeout=30)
    while True:
        name, arguments, *_ = json.loads(connection.recv())
        if name == "done":
            return bool(arguments[0])
