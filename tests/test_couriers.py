"""Sites are waited for apart from each other."""

import threading
from collections.abc import Iterator

import pytest

from knossosd.couriers import AT_ONCE, Couriers
from tests.checkouts import wait_until


class Sites:
    """Attempts, each of which lasts until it is let go if its name begins with "slow"."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.made: list[str] = []
        self.let_go = threading.Semaphore(0)

    def attempt(self, delivery: str) -> None:
        self.begun.append(delivery)
        if delivery.startswith("slow"):
            assert self.let_go.acquire(timeout=30)
        if delivery.startswith("bad"):
            raise RuntimeError(delivery)
        self.made.append(delivery)


@pytest.fixture
def sites() -> Sites:
    return Sites()


@pytest.fixture
def couriers(sites: Sites) -> Iterator[Couriers]:
    couriers = Couriers(sites.attempt)
    yield couriers
    sites.let_go.release(100)
    couriers.end(30)


def test_a_site_that_hangs_delays_only_itself(sites: Sites, couriers: Couriers) -> None:
    for number in range(60):
        couriers.send(f"slow {number}", "a")
        couriers.send(f"quick {number}", "b")
    wait_until(lambda: sites.made == [f"quick {number}" for number in range(60)], "the other one has all, in order")
    assert [one for one in sites.begun if one.startswith("slow")] == ["slow 0"]
    sites.let_go.release()
    wait_until(lambda: "slow 1" in sites.begun, "it goes on")


def test_a_site_for_which_there_was_no_thread_is_not_lost(
    sites: Sites, couriers: Couriers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):
            couriers.send("quick 1", "a")
    couriers.send("quick 2", "a")
    wait_until(lambda: sites.made == ["quick 2"], "its next one is made")


def no_more(_: threading.Thread) -> None:
    """What Python does when the system has reached a limit."""
    raise RuntimeError("can't start new thread")


def test_only_so_many_sites_are_waited_for_and_the_others_take_turns(sites: Sites, couriers: Couriers) -> None:
    for again in ("", " again"):
        for number in range(AT_ONCE + 1):
            couriers.send(f"slow {number}{again}", f"site {number}")
    wait_until(lambda: len(sites.begun) == AT_ONCE, "as many as may be are waited for")
    sites.let_go.release()
    wait_until(lambda: len(sites.begun) == AT_ONCE + 1, "the next one")
    assert sites.begun[-1] == f"slow {AT_ONCE}"


def test_what_waits_already_does_not_wait_twice(sites: Sites, couriers: Couriers) -> None:
    couriers.send("slow", "a")
    for _ in range(3):
        couriers.send("next", "a")
    couriers.send("last", "a")
    sites.let_go.release()
    wait_until(lambda: "last" in sites.made, "all are made")
    assert sites.made == ["slow", "next", "last"]


def test_a_failure_stops_nobody(sites: Sites, couriers: Couriers, caplog: pytest.LogCaptureFixture) -> None:
    couriers.send("bad", "a")
    couriers.send("good", "a")
    wait_until(lambda: sites.made == ["good"], "the next one is made")
    assert "bad" in caplog.text


def test_what_was_begun_is_made_before_the_end_and_nothing_else(sites: Sites, couriers: Couriers) -> None:
    couriers.send("slow", "a")
    couriers.send("next", "a")
    ending = threading.Thread(target=couriers.end, args=(30,))
    ending.start()
    ending.join(0.2)
    assert ending.is_alive()
    sites.let_go.release()
    ending.join(10)
    couriers.send("late", "b")
    assert not ending.is_alive()
    assert sites.made == ["slow"]
