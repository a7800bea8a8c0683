"""Tickets that nobody sees to any more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from knossosd.settings import Settings
from knossosd.tickets import events, keys, reaper
from knossosd.tickets.connection import connect, now_in_redis
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.reaper import LAST_CALL, expire_old, mend_indexes, reap, unheard
from knossosd.tickets.record import State
from knossosd.tickets.store import Receipt, Tickets
from tests.tickets.steps import claimed, found, log_lines, vanish


def test_the_reaper_lets_living_workers_alone(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    assert reap(tickets) == ([], [])
    execution.check()


def test_who_lives_loses_nothing_while_redis_is_away_for_longer_than_a_lease(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upkeep may be quicker to find that it is back than whoever renews."""
    monkeypatch.setattr(reaper, "LAST_CALL", LAST_CALL)
    hasty = settings.model_copy(update={"lease_time": 1})
    tickets = Tickets(connect(hasty, "worker"), hasty)
    receipt = tickets.create("{}", title="")
    with claimed(tickets, receipt) as execution:
        with away(redis_client, settings):
            time.sleep(7)  # a client with patience would then rest for some seconds
            assert not redis_client.exists(keys.lease(receipt.ticket))
        assert reap(tickets) == ([], [])
        assert execution.finish(Outcome("{}"))
    assert found(tickets, receipt).attempt == 1


def test_who_asked_before_redis_stood_still_takes_nothing_over(tickets: Tickets, receipt: Receipt) -> None:
    """Its leases ran out meanwhile, and whoever lives is heard only after us."""
    claimed(tickets, receipt)
    vanish(tickets, receipt)
    asked = tickets.now() - 60
    tickets.now = lambda: asked
    assert reap(tickets) == ([], [])
    tickets.now = lambda: now_in_redis(tickets.client)
    assert reap(tickets) == ([receipt.ticket], [])


@contextmanager
def away(client: redis.Redis, settings: Settings) -> Iterator[None]:
    """Nobody but `client` reaches its server meanwhile."""
    socket = Path(urlsplit(settings.redis).path)
    hidden = socket.rename(socket.with_name("hidden"))
    try:
        client.client_kill_filter(_type="normal", skipme=True)
        yield
    finally:
        hidden.rename(socket)


def test_a_ticket_fails_with_the_reason_when_too_many_workers_vanished(tickets: Tickets, receipt: Receipt) -> None:
    for _ in range(tickets.settings.max_attempts - 1):
        claimed(tickets, receipt)
        vanish(tickets, receipt)
        assert reap(tickets) == ([receipt.ticket], [])
    claimed(tickets, receipt)
    vanish(tickets, receipt)
    waiting, [ended] = reap(tickets)
    assert waiting == []
    assert ended.delivery
    ticket = found(tickets, receipt)
    assert (ticket.state, ticket.success) == (State.DONE, False)
    assert ticket.errors[0]["code"] == "worker_vanished"
    assert events.past(tickets.client, receipt.ticket).events[-1].name == "done"
    assert reap(tickets) == ([], [])


def test_the_reaper_forgets_tickets_that_expired(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt)
    tickets.client.delete(*keys.all_of(receipt.ticket))
    assert reap(tickets) == ([], [])
    assert tickets.working() == 0


def test_handing_back_costs_no_attempt(tickets: Tickets, receipt: Receipt) -> None:
    for _ in range(tickets.settings.max_attempts + 2):
        claimed(tickets, receipt).hand_back("It is to be tried again.")
    claimed(tickets, receipt)
    vanish(tickets, receipt)
    assert reap(tickets) == ([receipt.ticket], [])
    assert found(tickets, receipt).vanished == 1


def test_of_many_reapers_one_takes_a_ticket_over(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt)
    vanish(tickets, receipt)
    taken = [Execution.take_over(tickets, receipt.ticket) for _ in range(3)]
    assert [one is not None for one in taken] == [True, False, False]


def test_a_lease_from_before_the_clock_was_set_back_runs_out(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    lease, longest = keys.lease(receipt.ticket), tickets.settings.lease_time * 1000
    for left in ("PX 3600000", "PERSIST"):
        tickets.client.set(lease, "x", px=3600_000 if left != "PERSIST" else None)
        assert reap(tickets) == ([], []), "its worker may live"
        assert 0 < tickets.client.pttl(lease) <= longest
    execution.check()


def test_what_is_wrong_with_one_ticket_keeps_nobody_from_the_others(
    tickets: Tickets, receipt: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable, meddled_with = (tickets.create("{}", title="") for _ in range(2))
    for one in (unreadable, meddled_with, receipt):
        claimed(tickets, one)
        vanish(tickets, one)
    tickets.client.hdel(keys.record(unreadable.ticket), "created")
    tickets.client.hset(keys.record(meddled_with.ticket), "vanished", "often")
    wrong = tickets.create("{}", title="")
    claimed(tickets, wrong)
    vanish(tickets, wrong)
    tickets.client.delete(keys.events(wrong.ticket))
    tickets.client.set(keys.events(wrong.ticket), "no stream")
    waiting, failed = reap(tickets)
    assert receipt.ticket in waiting
    assert failed == []
    assert [one.number for one in tickets.all() if one.number != wrong.ticket] == [receipt.ticket]
    assert tickets.client.exists(keys.record(unreadable.ticket)), "a newer version may have written it"
    tickets.client.zadd(keys.TICKETS, {str(unreadable.ticket): 1.0})
    assert expire_old(tickets) == []
    assert tickets.client.ttl(keys.record(unreadable.ticket)) > 0, "it goes by itself"
    assert f"ticket {wrong.ticket} cannot be seen to" in caplog.messages
    mend_indexes(tickets)
    assert wrong.ticket in {one.number for one in tickets.next(9)}, "what was begun is brought to its end"


def test_a_ticket_that_is_in_no_index_gets_back_where_it_belongs(tickets: Tickets, receipt: Receipt) -> None:
    """Somebody removed the indexes, or a Redis that has to throw something away."""
    working, done = (tickets.create("{}", title="") for _ in range(2))
    claimed(tickets, working)
    claimed(tickets, done).finish(Outcome("{}"))
    tickets.client.delete(keys.QUEUE, keys.WORKING)
    mend_indexes(tickets)
    assert [one.number for one in tickets.next(9)] == [receipt.ticket]
    assert [one.number for one in tickets.running(9)] == [working.ticket]
    assert tickets.client.ttl(keys.QUEUE) > 0
    assert tickets.client.ttl(keys.WORKING) > 0
    vanish(tickets, working)
    assert reap(tickets) == ([working.ticket], [])
    assert unheard(tickets, set()) == [receipt.ticket, working.ticket]


def test_who_waits_without_being_heard_of_is_found(tickets: Tickets, receipt: Receipt) -> None:
    other = tickets.create("{}", title="")
    assert unheard(tickets, {other.ticket}) == [receipt.ticket]
    claimed(tickets, receipt)
    assert unheard(tickets, {other.ticket}) == []


def test_a_ticket_that_waits_or_works_for_too_long_ends(redis_client: redis.Redis, settings: Settings) -> None:
    now = now_in_redis(redis_client)
    tickets = Tickets(redis_client, settings, lambda: now - settings.task_lifetime)
    waiting, working, done = (tickets.create("{}", title="", webhook="https://site.example/") for _ in range(3))
    claimed(tickets, working)
    claimed(tickets, done).finish(Outcome("{}"))
    tickets.now = lambda: now - 100
    young = tickets.create("{}", title="")
    assert expire_old(tickets) == []
    tickets.now = lambda: now
    assert len(expire_old(tickets)) == 2
    for one in (waiting, working):
        ticket = found(tickets, one)
        assert (ticket.state, ticket.success, ticket.errors[0]["code"]) == (State.DONE, False, "ticket_expired")
        assert events.past(tickets.client, one.ticket).events[-1].arguments == [False]
        assert "ERROR: The conversion was not through within 24 hours." in log_lines(tickets, one)
    assert found(tickets, done).success
    assert found(tickets, young).state is State.WAITING
    assert expire_old(tickets) == []


def test_a_finished_ticket_leaves_the_lists_with_its_result(redis_client: redis.Redis, settings: Settings) -> None:
    ended = now_in_redis(redis_client) - settings.result_lifetime - 1
    tickets = Tickets(redis_client, settings, lambda: ended)
    finished, waiting = tickets.create("{}", title=""), tickets.create("{}", title="")
    claimed(tickets, finished).finish(Outcome("{}"))
    tickets.now = lambda: now_in_redis(redis_client)
    assert expire_old(tickets) == []
    assert len(redis_client.zrange(keys.TICKETS, 0, -1)) == 2, "its result is still there"
    redis_client.delete(*keys.all_of(finished.ticket))
    assert expire_old(tickets) == []
    assert redis_client.zrange(keys.TICKETS, 0, -1) == [str(waiting.ticket)]


def test_tickets_that_are_gone_leave_the_lists(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings, lambda: 1_000_000.0)
    gone = tickets.create("{}", title="")
    redis_client.delete(*keys.all_of(gone.ticket))
    tickets.now = lambda: 2_000_000.0
    assert expire_old(tickets) == []
    assert redis_client.exists(keys.TICKETS, keys.QUEUE) == 0


def test_a_ticket_is_as_old_as_its_record_says(tickets: Tickets, receipt: Receipt) -> None:
    """An older version ordered the list of all tickets by something else."""
    tickets.client.zadd(keys.TICKETS, {str(receipt.ticket): 1.0})
    assert expire_old(tickets) == []
    assert found(tickets, receipt).state is State.WAITING


@pytest.mark.parametrize(
    "fields", [{"state": "PAUSED", "time": 1, "created": 1, "title": "", "token": "x"}, {"x": "y"}]
)
def test_a_ticket_that_only_another_version_understands_is_let_alone_and_stops_no_other(
    tickets: Tickets, receipt: Receipt, fields: dict[str, str | int], caplog: pytest.LogCaptureFixture
) -> None:
    """As after a downgrade: it may be upgraded again before that ticket's time is over."""
    number, client = 4711, tickets.client
    client.hset(keys.record(number), mapping=fields)
    for index in (keys.TICKETS, keys.QUEUE, keys.WORKING):
        client.zadd(index, {str(number): 1})
    claimed(tickets, receipt)
    vanish(tickets, receipt)
    assert reap(tickets) == ([receipt.ticket], [])
    assert expire_old(tickets) == []
    assert tickets.get(number) is None
    assert [ticket.number for ticket in tickets.all()] == [receipt.ticket]
    assert list(tickets.standings([number, receipt.ticket])) == [receipt.ticket]
    assert client.hgetall(keys.record(number)) == {name: str(value) for name, value in fields.items()}
    assert client.zscore(keys.TICKETS, str(number)) == 1
    told = [record.message for record in caplog.records if "ticket 4711" in record.message]
    assert len(told) == 1
    assert told[0].startswith("the record of ticket 4711 cannot be understood")
