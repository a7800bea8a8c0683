"""Upkeep does by itself, in its own time, what every ticket depends on."""

from pathlib import Path

import pytest

from knossosd.tickets.outbox import Outbox
from tests import archives, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.faults.storm import Storm

pytestmark = pytest.mark.timeout(300)

TWO_MINUTES = 120.0
"""The lease, one period of upkeep, and the conversion; what a slow machine needs besides."""


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
    waiting = [one for one in Outbox(a_storm.redis()).all() if not one.attempts]
    assert waiting, "the site still hangs"
