"""Upkeep does by itself, in its own time, what every ticket depends on."""

from pathlib import Path

import pytest

from knossosd.tickets.outbox import Outbox
from tests import archives, checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.faults.storm import SETTINGS, Storm, storm
from tests.hosts import Host

pytestmark = pytest.mark.timeout(300)

TWO_MINUTES = 120.0
"""The lease, one period of upkeep, and the conversion; what a slow machine needs besides."""


FEW_ATTEMPTS = {**SETTINGS, "MAX_ATTEMPTS": 2}


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()


def test_a_lost_worker_is_noticed_while_a_site_hangs(a_storm: Storm, installation: Checkout, content: bytes) -> None:
    """Sixty webhooks for a site that is silent, each for the ten seconds of `WEBHOOK_TIMEOUT`, and nobody calls."""
    host = a_storm.host
    silent = host.link("/silent", hosts.stays_silent)
    quick = host.link("/core.7z", hosts.serves(content))
    link, begun, hold = hosts.held(host, content)
    told = [installation.submit(a_document(quick, id=f"mod_{number}"), webhook=silent) for number in range(60)]
    for ticket, _ in told:
        wait_until(lambda ticket=ticket: installation.state(ticket) == "DONE", f"{ticket} is done")
    ticket, token = installation.submit(a_document(link, id="held"))
    assert begun.wait(30)
    a_storm.kill_worker_of(ticket)
    hold.set()
    wait_until(lambda: installation.state(ticket) == "DONE", "upkeep has found the ticket", TWO_MINUTES)
    assert installation.outcome(ticket, token)["success"]
    waiting = [one for one in Outbox(a_storm.installation.redis()).all() if not one.attempts]
    assert waiting, "the site still hangs"


def test_a_ticket_whose_worker_was_killed_goes_on_though_nobody_calls(
    a_storm: Storm, installation: Checkout, content: bytes
) -> None:
    link, begun, hold = hosts.held(a_storm.host, content)
    ticket, token = installation.submit(a_document(link))
    assert begun.wait(30)
    a_storm.kill_worker_of(ticket)
    hold.set()
    wait_until(lambda: installation.state(ticket) == "DONE", "upkeep has found the ticket", TWO_MINUTES)
    assert installation.outcome(ticket, token)["success"]
    assert f"the worker of ticket {ticket} vanished, the ticket waits again" in installation.logs()


def test_a_ticket_over_which_workers_vanish_fails_and_may_be_retried(
    host: Host, content: bytes, tmp_path: Path
) -> None:
    with checkouts.checkout(**FEW_ATTEMPTS) as copy, storm(copy, host, tmp_path, seed=1) as a_storm:
        copy.start_supervisor()
        link, begun, hold = hosts.held(host, content)
        hook = f"http://127.0.0.1:{host.server_port}/hook"

        def goes_on() -> bool:
            a_storm.tend()
            return begun.is_set() or copy.state(ticket) == "DONE"

        ticket, token = copy.submit(a_document(link), webhook=hook)
        for _ in range(2):
            assert begun.wait(30)
            begun.clear()
            a_storm.kill_worker_of(ticket)
            wait_until(goes_on, "upkeep has seen to the ticket")
        outcome = copy.outcome(ticket, token)
        assert [error["code"] for error in outcome["errors"]] == ["worker_vanished"]
        assert a_storm.kills["worker child"] == 2
        wait_until(lambda: a_storm.told, "the site is told")
        assert [number for number, _ in a_storm.told] == [ticket]
        hold.set()
        assert copy.verb("tickets", "retry", str(ticket)).returncode == 0
        assert copy.outcome(ticket, token)["success"]
        wait_until(lambda: len(a_storm.told) == 2, "the site is told of the new end")
        assert len(dict.fromkeys(a_storm.told)) == 2, "that is another delivery"
