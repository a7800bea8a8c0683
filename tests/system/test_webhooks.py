"""Webhooks of a whole installation, and sites of every kind."""

import hashlib
import hmac
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from knossosd.settings import DAY, HOUR
from knossosd.tickets import keys
from knossosd.tickets.outbox import Delivery, DeliveryState, Outbox
from tests import checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.hosts import Behaviour, Host, Request
from tests.system.test_upkeep import ask_for

WAITING, DELIVERED, GIVEN_UP = DeliveryState.WAITING, DeliveryState.DELIVERED, DeliveryState.GIVEN_UP


@pytest.fixture(scope="module")
def two() -> Iterator[Checkout]:
    """An installation with a second upkeep consumer, in which nobody converts."""
    with checkouts.checkout(WEBHOOK_TIMEOUT=20) as copy:
        copy.start_supervisor()
        copy.supervisorctl("stop", "worker")
        log = (copy.folder / "var" / "log" / "second.log").open("w")
        copy.start("huey_consumer", "knossosd.tasks.upkeep", "-k", "thread", "-w", "2", stdout=log, stderr=log)
        log.close()
        wait_until(lambda: len(upkeeps(copy)) == 2, "both run")
        yield copy


def upkeeps(installation: Checkout) -> list[psutil.Process]:
    return [one for one in installation.processes() if "knossosd.tasks.upkeep" in one.cmdline()]


@dataclass(slots=True)
class Site:
    """A site that notes how many attempts it has seen, and how many at once at the most, and behaves so to each."""

    behaviour: Behaviour
    came: list[Request] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> None:
        with self.lock:
            self.came.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.behaviour(request)
        finally:
            with self.lock:
                self.at_once -= 1


def the_outbox(installation: Checkout) -> Outbox:
    return Outbox(installation.redis())


def ended(installation: Checkout, webhook: str) -> tuple[int, str]:
    """A ticket that is cancelled, so that its end calls for the webhook; with its token."""
    ticket, token = installation.submit(a_document("http://127.0.0.1:9/a.7z"), webhook=webhook)
    assert installation.post("/api/converter/cancel", ticket=ticket, token=token)["cancelled"]
    return ticket, token


def delivery_of(installation: Checkout, ticket: int) -> Delivery:
    [delivery] = [one for one in the_outbox(installation).all() if one.ticket == ticket]
    return delivery


def after_an_attempt(installation: Checkout, ticket: int) -> Delivery:
    wait_until(lambda: delivery_of(installation, ticket).log, "what came of the attempt is noted")
    return delivery_of(installation, ticket)


def due_in(installation: Checkout, delivery: Delivery) -> float:
    """Seconds from the last attempt until it is due again."""
    due = installation.redis().zscore(keys.OUTBOX, delivery.id)
    assert isinstance(due, float)
    return due - float(delivery.log[-1]["time"])


def test_a_site_that_knows_the_manual_alone_can_check_who_calls(two: Checkout, host: Host) -> None:
    site = Site(hosts.says(200))
    ticket, token = ended(two, host.link("/hook", site))
    [request] = wait_until(lambda: list(site.came), "the site is told")
    signed = request.headers["X-Knossos-Timestamp"].encode() + b"." + request.body
    expected = hmac.new(token.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, request.headers["X-Knossos-Signature"])
    assert abs(time.time() - int(request.headers["X-Knossos-Timestamp"])) < HOUR
    assert (request.body, request.headers["Content-Type"]) == (
        f"ticket={ticket}".encode(),
        "application/x-www-form-urlencoded",
    )


def breaks_off(request: Request) -> None:
    """Takes the delivery, and drops the connection in the middle of what it has to say of it."""
    request.answer(200, b"{", Content_Length=1000)


@pytest.mark.parametrize(
    ("behaviour", "state", "words"),
    [
        (breaks_off, DELIVERED, "taken"),
        (hosts.says(200, b"[" * 60_000), DELIVERED, "taken"),
        (hosts.says(204), DELIVERED, "taken"),
        (hosts.says(302, Location="http://127.0.0.1:9/"), WAITING, "status 302"),
        (hosts.says(404), WAITING, "status 404"),
        (hosts.says(410), GIVEN_UP, "status 410"),
        (hosts.says(500), WAITING, "status 500"),
        (hosts.says_raw(b"what?\r\n\r\n"), WAITING, "does not speak HTTP"),
        (hosts.says_raw(b""), WAITING, "broke the connection"),
    ],
)
def test_what_a_site_says_decides(
    behaviour: Behaviour, state: DeliveryState, words: str, two: Checkout, host: Host
) -> None:
    site = Site(behaviour)
    ticket, _ = ended(two, host.link("/hook", site))
    delivery = after_an_attempt(two, ticket)
    assert (delivery.state, delivery.attempts, len(site.came)) == (state, 1, 1)
    assert words in delivery.log[0]["outcome"]
    assert "download" not in delivery.log[0]["outcome"]


def test_a_site_whose_encryption_fails_is_told_so_and_asked_again(two: Checkout, host: Host) -> None:
    ticket, _ = ended(two, host.link("/hook", hosts.says(200)).replace("http:", "https:"))
    delivery = after_an_attempt(two, ticket)
    assert delivery.state is WAITING
    assert "encryption is not in order" in delivery.log[0]["outcome"]
    assert host.requests == []


def test_an_address_that_nobody_may_ask_is_given_up(two: Checkout) -> None:
    ticket, _ = ended(two, "http://10.1.2.3/hook")
    delivery = after_an_attempt(two, ticket)
    assert (delivery.state, delivery.attempts) == (GIVEN_UP, 1)
    assert "not a public host" in delivery.log[0]["outcome"]


def test_a_busy_site_is_left_alone_for_as_long_as_it_wants(two: Checkout, host: Host) -> None:
    busy, _ = ended(two, host.link("/busy", hosts.says(429, Retry_After=str(HOUR))))
    broken, _ = ended(two, host.link("/broken", hosts.says(500)))
    assert due_in(two, after_an_attempt(two, busy)) == pytest.approx(HOUR, abs=1)
    assert due_in(two, after_an_attempt(two, broken)) < 60


def test_never_two_at_once_and_none_after_a_success(two: Checkout, host: Host) -> None:
    """Whoever asks for it, and as often as it is asked for, while the site takes its time."""
    go_on = threading.Event()

    def slowly(request: Request) -> None:
        assert go_on.wait(20)
        request.answer(200)

    site = Site(slowly)
    ticket, _ = ended(two, host.link("/hook", site))
    wait_until(lambda: site.came, "the site is told")
    delivery = delivery_of(two, ticket)
    for _ in range(3):
        assert two.verb("webhooks", "redeliver", delivery.id).returncode == 0
        ask_for(two, "look_after_tickets")
    go_on.set()
    assert after_an_attempt(two, ticket).state is DELIVERED
    for _ in range(4):  # as many as have an effect on either consumer
        ask_for(two, "look_after_tickets")
    wait_until(lambda: not two_have_work(two), "both have looked")
    assert (len(site.came), site.most_at_once) == (1, 1)
    assert two.verb("webhooks", "redeliver", delivery.id).returncode == 0
    wait_until(lambda: len(site.came) == 2, "it is made once more")
    assert {request.headers["X-Knossos-Delivery"] for request in site.came} == {delivery.id}


def two_have_work(installation: Checkout) -> int:
    return int(installation.redis().llen("huey.redis.knossosdupkeep"))  # type: ignore[arg-type]


def test_an_attempt_whose_couriers_are_killed_is_made_again_with_the_same_id(host: Host) -> None:
    held = threading.Event()
    site = Site(hosts.one_after_the_other(lambda _: held.wait(20) and None, hosts.says(200)))
    with checkouts.checkout() as installation:
        installation.start_supervisor()
        installation.supervisorctl("stop", "worker")
        ticket, _ = ended(installation, host.link("/hook", site))
        wait_until(lambda: site.came, "the site is told")
        [upkeep] = upkeeps(installation)
        upkeep.send_signal(signal.SIGKILL)
        held.set()
        delivery = delivery_of(installation, ticket)
        assert (delivery.state, delivery.attempts) == (WAITING, 1)
        later = Outbox(installation.redis(), now=lambda: time.time() + DAY / 2)
        assert later.due() == [delivery.id], "somebody else may take it when the courier's time is over"
        installation.redis().zadd(keys.OUTBOX, {delivery.id: 0})  # as if that were now
        ask_for(installation, "look_after_tickets")
        wait_until(lambda: delivery_of(installation, ticket).state is DELIVERED, "it is delivered")
        assert [request.headers["X-Knossos-Delivery"] for request in site.came] == [delivery.id] * 2
