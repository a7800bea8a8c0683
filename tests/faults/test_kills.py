"""Killing anything at any time: every ticket ends, once, with the right result."""

import signal
import threading

import pytest

from tests.checkouts import Checkout, wait_until
from tests.faults.storm import Storm

pytestmark = pytest.mark.timeout(400)


def kill_while_submitting(
    a_storm: Storm, kinds: list[str], count: int, every: float, number: signal.Signals = signal.SIGKILL
) -> None:
    """Kill something every so many seconds, until all tickets have been submitted and half of them have ended."""
    calm = threading.Event()

    def kill() -> None:
        while not calm.wait(every * (0.5 + a_storm.chance.random())):
            a_storm.kill(a_storm.chance.choice(kinds), number)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        a_storm.submit(count)
        wait_until(lambda: len(a_storm.open()) < count / 2 or calm.wait(0.5), "half of them have ended", 120)
    finally:
        calm.set()
        killer.join()


@pytest.mark.parametrize("kind", ["worker child", "consumer", "upkeep", "web", "valkey"])
def test_killing_one_part_again_and_again(a_storm: Storm, kind: str) -> None:
    kill_while_submitting(a_storm, [kind], count=40, every=2.5)
    a_storm.settle()
    a_storm.verify()
    assert a_storm.kills[kind]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_telling_the_programs_to_stop(a_storm: Storm, number: signal.Signals) -> None:
    kill_while_submitting(a_storm, ["consumer", "upkeep", "web"], count=30, every=2.5, number=number)
    a_storm.settle()
    a_storm.verify()


def test_killing_everything_at_random(a_storm: Storm) -> None:
    kill_while_submitting(a_storm, ["worker child", "consumer", "upkeep", "web", "valkey"], count=150, every=2.0)
    a_storm.settle()
    a_storm.verify()
    assert sum(a_storm.kills.values()) > 3


def test_killing_the_supervisor(a_storm: Storm, installation: Checkout) -> None:
    a_storm.submit(20)
    a_storm.kill("supervisord")
    wait_until(lambda: not any(a_storm.processes().values()), "all programs have followed their supervisor", 60)
    installation.start_supervisor()
    a_storm.settle()
    a_storm.verify()
