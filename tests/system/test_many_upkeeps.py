"""Any number of upkeep processes do no harm: what each of them does, all of them do once."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from knossosd.settings import load
from knossosd.tickets import keys
from knossosd.tickets.measures import LEASE_EXPIRIES
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.workers import Living, living
from tests import archives, checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.conversion.mirrors import World, damage
from tests.hosts import Host, Request

PROCESSES = 3
UPKEEP = ("huey_consumer", "knossosd.tasks.upkeep", "-k", "thread", "-w", "5", "-t", "30")


@pytest.fixture(scope="module")
def running() -> Iterator[Checkout]:
    with checkouts.checkout(LEASE_TIME=3) as copy:
        copy.start_supervisor()
        yield copy


@pytest.fixture
def installation(running: Checkout) -> Checkout:
    """One whose upkeep has two others beside it, on the same Redis and the same mirror."""
    wait_until(lambda: upkeeps(running), "the supervisor's lives")
    for number in range(len(upkeeps(running)), PROCESSES):
        with (running.folder / "var" / "log" / f"upkeep_{number}.log").open("a") as log:
            running.start(*UPKEEP, stdout=log, stderr=log)
    wait_until(lambda: len(upkeeps(running)) == PROCESSES, "all of them live")
    return running


def processes(installation: Checkout, kind: str) -> list[Living]:
    with installation.redis() as client:
        return [process for process in living(client) if process.kind == kind and psutil.pid_exists(process.pid)]


def upkeeps(installation: Checkout) -> list[int]:
    """The process ids of those that live."""
    return [process.pid for process in processes(installation, "upkeep")]


def lines(installation: Checkout, words: str) -> list[str]:
    """The lines with these words of all programs."""
    return [line for line in installation.logs().splitlines() if words in line]


def ask_all_for(installation: Checkout, task: str, times: int = PROCESSES) -> None:
    """Have the task done by so many threads of all those processes at once."""
    program = f"from knossosd import tasks\nfor _ in range({times}): tasks.{task}()"
    asked = installation.run(sys.executable, "-c", program)
    assert asked.returncode == 0, asked.stderr


def test_what_recurs_is_asked_for_by_one_of_them(installation: Checkout) -> None:
    wait_until(lambda: len(lines(installation, "Enqueueing periodic task")) >= 4, "what recurs was asked for")
    asked = Counter(line.split("knossosd.tasks.")[1].split(":")[0] for line in lines(installation, "Enqueueing"))
    assert asked["sweep"] == 1, "its time comes every ten minutes"


def test_every_site_is_told_once(installation: Checkout, host: Host, content: bytes) -> None:
    told: list[str] = []
    at_once = threading.Semaphore(1)
    twice = threading.Event()

    def takes_its_time(request: Request) -> None:
        """The first time it fails, late."""
        delivery = request.headers["X-Knossos-Delivery"]
        if not at_once.acquire(blocking=False):
            twice.set()
        request.server.stopping.wait(1)
        at_once.release()
        told.append(delivery)
        request.answer(500 if told.count(delivery) == 1 else 200)

    link = host.link("/core.7z", hosts.serves(content))
    ticket, token = installation.submit(a_document(link), webhook=host.link("/hook", takes_its_time))
    assert installation.outcome(ticket, token)["success"]
    with installation.redis() as client:
        outbox = Outbox(client)

        def is_delivered() -> bool:
            """They look again and again, all of them."""
            ask_all_for(installation, "look_after_tickets", 30)
            return outbox.all()[0].state is DeliveryState.DELIVERED

        wait_until(is_delivered, "the site has taken it", 60)
        ask_all_for(installation, "look_after_tickets", 30)
        wait_until(lambda: client.llen("huey.redis.knossosdupkeep") == 0, "all is done that they were asked for")
        [delivery] = outbox.all()
    assert told == [delivery.id] * 2, "a failure and a success"
    assert not twice.is_set()
    assert delivery.attempts == 2


def test_a_lost_worker_is_noticed_once(installation: Checkout, host: Host, content: bytes) -> None:
    link, begun, hold = hosts.held(host, content)
    ticket, token = installation.submit(a_document(link))
    assert begun.wait(30)
    [worker] = [process for process in processes(installation, "worker") if process.ticket == ticket]
    psutil.Process(worker.pid).kill()
    hold.set()
    with installation.redis() as client:
        wait_until(lambda: not client.exists(keys.lease(ticket)), "its lease runs out")
        ask_all_for(installation, "look_after_tickets", 30)
        assert installation.outcome(ticket, token)["success"]
        assert client.hget(keys.TOTALS, LEASE_EXPIRIES) == "1"
    assert len(lines(installation, f"the worker of ticket {ticket} vanished")) == 1


@pytest.fixture
def mirror(installation: Checkout, host: Host, tmp_path: Path) -> World:
    """The installation's mirror, with one archive that a conversion published."""
    content = archives.pack(tmp_path / "own.7z", {"mod.ini": str(tmp_path).encode()}).read_bytes()
    link = host.link("/own.7z", hosts.serves(content))
    assert installation.outcome(*installation.submit(a_document(link, id=tmp_path.name)))["success"]
    settings = load(installation.folder / "conf" / "settings.py")
    return World(settings.model_copy(update={"mirror_path": installation.folder / "var" / "mirror"}))


@pytest.fixture
def archive(mirror: World, tmp_path: Path) -> Path:
    """Its public name."""
    return mirror.mirror.path / tmp_path.name / "1.0.0" / "own.7z"


def told(installation: Checkout, archive: Path) -> list[str]:
    """What verifications said about the archive."""
    return lines(installation, f"{archive.parent.parent.name}/1.0.0/own.7z: ")


def through(installation: Checkout) -> int:
    """How many verifications have ended, or did not begin beside another one."""
    said = ("published files, ", "the mirror is being verified already")
    return sum(len(lines(installation, words)) for words in said)


def test_a_damage_is_told_and_repaired_once(installation: Checkout, mirror: World, archive: Path) -> None:
    content = archive.read_bytes()
    before = through(installation)
    damage(archive, b"rotten")
    ask_all_for(installation, "verify")
    wait_until(lambda: through(installation) == before + PROCESSES, "all are through")
    assert len(told(installation, archive)) == 1
    assert mirror.is_sound(content, archive)


def test_when_the_one_that_verifies_is_killed_another_can_do_it(
    installation: Checkout, mirror: World, archive: Path, host: Host
) -> None:
    content = archive.read_bytes()
    _, begun, hold = hosts.held(host, content)
    host.behaviours["/own.7z"] = host.behaviours["/held.7z"]
    damage(archive, b"rotten")
    ask_all_for(installation, "verify", 1)
    assert begun.wait(30), "it fetches the archive"
    lock = str(mirror.mirror.ledger.folder / ".verifying")
    holders = [pid for pid in upkeeps(installation) if lock in {one.path for one in psutil.Process(pid).open_files()}]
    assert len(holders) == 1
    psutil.Process(holders[0]).kill()
    hold.set()
    ask_all_for(installation, "verify")
    wait_until(lambda: "; repaired. " in str(told(installation, archive)), "another one has repaired it")
    assert mirror.is_sound(content, archive)
