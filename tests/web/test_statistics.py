"""The last day in numbers, as a page plots them."""

from collections.abc import Iterator
from typing import Any

import pytest

from knossosd.conversion.observer import Measure
from knossosd.faults import Code, Finding
from knossosd.settings import DAY
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.keys import SLOT
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.statistics import Statistics, StoreSize
from knossosd.tickets.store import Tickets
from tests import checkouts
from tests.checkouts import KEY, Checkout
from tests.web.test_api import DOCUMENT, request


def told(web: Checkout) -> Any:
    return web.get("/api/statistics", Authorization=f"Bearer {KEY}")


def lists(part: Any) -> list[list[Any]]:
    """All lists in it."""
    if isinstance(part, dict):
        return [one for inner in part.values() for one in lists(inner)]
    return [part] if isinstance(part, list) else []


@pytest.fixture
def fresh(valkey: str) -> Iterator[Checkout]:
    """A web process that has read nothing yet."""
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_web()
        yield copy


@pytest.fixture
def busy(tickets: Tickets) -> Tickets:
    """An hour ago two tickets were made; now one of them ends well, and others do not."""
    now = tickets.now()
    earlier = Tickets(tickets.client, tickets.settings, lambda: now - 3600)
    first, _second = (earlier.create(DOCUMENT, title="t") for _ in range(2))
    execution = Execution.claim(tickets, first.ticket)
    assert execution is not None
    with execution:
        execution.measured(Measure.DOWNLOADED, 1000)
        execution.measured(Measure.DOWNLOADING, 7)
        execution.finish(Outcome("{}"))
    for code in (Code.ARCHIVE_EMPTY, Code.DOWNLOAD_FAILED, Code.INTERNAL):
        failing = Execution.claim(tickets, tickets.create(DOCUMENT, title="t", webhook="https://x.example/").ticket)
        assert failing is not None
        ended = failing.finish(Outcome(errors=(Finding(code, "Oh."),)))
        assert ended is not None
        outbox = Outbox(tickets.client)
        delivery = outbox.take(ended.delivery or "")
        assert delivery is not None
        outbox.note(delivery, "taken", state=DeliveryState.DELIVERED)
    Statistics(tickets.client).sample()
    return tickets


@pytest.mark.usefixtures("busy")
def test_it_has_the_last_day(fresh: Checkout) -> None:
    day = told(fresh)
    assert day["step"] == SLOT
    assert len(day["times"]) == DAY // SLOT + 1
    assert {later - earlier for earlier, later in zip(day["times"], day["times"][1:], strict=False)} == {SLOT}
    now = day.pop("now")
    assert {len(one) for one in lists(day)} == {len(day["times"])}
    assert {name: sum(counts) for name, counts in day["ended"].items()} == {
        "succeeded": 1,
        "failed": 2,
        "dead": 1,
        "cancelled": 0,
    }
    hour_ago = len(day["times"]) - 1 - 3600 // SLOT
    assert sum(day["submitted"][hour_ago - 1 : hour_ago + 2]) == 2
    assert sum(day["submitted"]) == 5
    assert sum(day["bytes"]["downloaded"]) == 1000
    assert sum(day["webhooks"]["delivered"]) == 3
    assert [mean for mean in day["durations"]["downloading"]["mean"] if mean is not None] == [7]
    assert [most for most in day["durations"]["downloading"]["p95"] if most is not None] == [9.75]
    assert sum(day["durations"]["whole"]["count"]) == 4
    assert [waiting for waiting in day["sampled"]["waiting"] if waiting is not None] == [1]
    assert next(age for age in day["sampled"]["oldest"] if age is not None) >= 3600
    assert (now["waiting"], now["working"], now["dead"], now["webhooks"], now["workers"]) == (1, 0, 1, 0, [])
    assert (now["store"], now["watchers"]) == (None, 0)
    assert now["free"] > 0


def test_what_happens_shows_at_once_although_the_past_is_read_once(fresh: Checkout, busy: Tickets) -> None:
    before = told(fresh)
    busy.create(DOCUMENT, title="t")
    after = told(fresh)
    assert sum(after["submitted"]) == sum(before["submitted"]) + 1
    assert sum(after["bytes"]["downloaded"]) == 1000
    shift = (after["times"][0] - before["times"][0]) // SLOT
    assert after["submitted"][: -3 - shift] == before["submitted"][shift:-3]


def test_it_knows_how_large_the_store_is(web: Checkout, tickets: Tickets) -> None:
    Statistics(tickets.client).note_store(StoreSize(3, 2**40))
    assert told(web)["now"]["store"] == {"contents": 3, "size": 2**40}


def test_it_is_for_operators(web: Checkout, valkey: str) -> None:
    assert request(web, "GET", "/api/statistics")[:2] == (401, "Access denied")
    with checkouts.checkout(REDIS=valkey, OPEN_MONITOR=True) as copy:
        copy.start_web()
        assert copy.get("/api/statistics")["step"] == SLOT
        assert request(copy, "GET", "/metrics")[0] == 200
