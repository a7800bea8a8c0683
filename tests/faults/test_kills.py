"""Killing anything at any time: every ticket ends, once, with the right result."""

import signal

import pytest

from tests.faults.storm import KINDS, Storm
from tests.faults.verdict import verify
from tests.hosts import Host

pytestmark = pytest.mark.timeout(700)


@pytest.mark.parametrize("kind", KINDS)
def test_killing_one_part_again_and_again(a_storm: Storm, kind: str) -> None:
    a_storm.rage([kind], count=40)
    a_storm.settle()
    verify(a_storm)
    assert a_storm.kills[kind]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_telling_the_programs_to_stop(a_storm: Storm, number: signal.Signals) -> None:
    a_storm.rage(["consumer", "upkeep", "web"], count=30, number=number)
    a_storm.settle()
    verify(a_storm)


def test_killing_everything_at_random(a_storm: Storm) -> None:
    a_storm.rage(KINDS, count=150)
    a_storm.settle()
    verify(a_storm)
    assert sum(a_storm.kills.values()) > 3


def test_killing_the_supervisor(a_storm: Storm) -> None:
    a_storm.submit(20)
    a_storm.kill_supervisor()
    a_storm.settle()
    verify(a_storm)


def test_killing_workers_while_downloads_break_off(a_storm: Storm, host: Host) -> None:
    a_storm.breaks_off = True
    a_storm.rage(["worker child", "consumer"], count=30)
    a_storm.settle()
    verify(a_storm)
    resumed = {request.path for request in host.requests if request.sent == 206}
    assert len(resumed) > 15, "most downloads were resumed"
    assert a_storm.kills
