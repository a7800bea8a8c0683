"""How a ticket ends: once, whoever ends it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from knossosd.faults import OURS, Code, Finding
from knossosd.tickets import events, keys
from knossosd.tickets.ending import Outcome, cancel, end, expire, remove
from knossosd.tickets.execution import Execution
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.record import State
from knossosd.tickets.store import QuotaReached, Receipt, Tickets
from tests.tickets.steps import claimed, found, log_lines, position

DEAD = Outcome(errors=(Finding(Code.DISK_FULL, "The server's disk is full."),))


def test_of_many_ends_one_counts(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    ticket = found(tickets, receipt)
    ways = [
        lambda: execution.finish(Outcome("{}")),
        lambda: cancel(tickets, ticket),
        lambda: expire(tickets, ticket),
        lambda: end(tickets, ticket, Outcome()),
    ]
    with ThreadPoolExecutor(8) as pool:
        ends = [one.result() for one in [pool.submit(way) for way in ways * 5]]
    assert sum(one is not None for one in ends) == 1
    assert [event.name for event in events.past(tickets.client, receipt.ticket).events].count("done") == 1
    assert len(Outbox(tickets.client).all()) == 1


def test_a_waiting_ticket_that_is_cancelled_is_never_begun(tickets: Tickets, receipt: Receipt) -> None:
    ended = cancel(tickets, found(tickets, receipt))
    assert ended is not None
    assert Execution.claim(tickets, receipt.ticket) is None
    ticket = found(tickets, receipt)
    assert (ticket.state, ticket.success, ticket.runtime) == (State.DONE, False, 0)
    assert ticket.errors[0]["code"] == "cancelled"
    assert log_lines(tickets, receipt) == ["WARNING: The conversion was cancelled."]
    assert position(tickets, receipt) is None
    assert tickets.document(receipt.ticket) is None


def test_a_running_ticket_that_is_cancelled_is_taken_from_its_worker(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    assert cancel(tickets, found(tickets, receipt))
    assert execution.finish(Outcome("{}")) is None
    assert execution.hand_back("It is to be tried again.") is False
    assert tickets.result(receipt.ticket) is None
    assert tickets.working() == 0
    assert not tickets.client.exists(keys.lease(receipt.ticket))


def test_an_end_puts_the_webhook_into_the_outbox(tickets: Tickets, receipt: Receipt) -> None:
    ended = claimed(tickets, receipt).finish(Outcome("{}"))
    assert ended is not None
    outbox = Outbox(tickets.client)
    [delivery] = outbox.all()
    assert outbox.due() == [delivery.id] == [ended.delivery]
    assert (delivery.ticket, delivery.url, delivery.token) == (
        receipt.ticket,
        "https://site.example/hook",
        receipt.token,
    )
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 0)


def test_without_a_webhook_there_is_nothing_to_deliver(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="")
    ended = claimed(tickets, receipt).finish(Outcome("{}"))
    assert ended is not None
    assert ended.delivery is None
    assert Outbox(tickets.client).all() == []


def test_what_failed_through_our_fault_can_be_retried(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(DEAD)
    assert [ticket.number for ticket in tickets.dead()] == [receipt.ticket]
    assert tickets.client.ttl(keys.record(receipt.ticket)) > tickets.settings.result_lifetime
    assert tickets.retry(found(tickets, receipt))
    ticket = found(tickets, receipt)
    assert (ticket.state, ticket.attempt, ticket.errors) == (State.WAITING, 0, ())
    assert events.past(tickets.client, receipt.ticket).events == []
    assert tickets.dead() == []
    claimed(tickets, receipt).finish(Outcome("{}"))
    assert found(tickets, receipt).success
    assert tickets.dead() == []
    assert len(Outbox(tickets.client).all()) == 2


@pytest.mark.parametrize("outcome", [Outcome("{}"), Outcome(errors=(Finding(Code.ARCHIVE_EMPTY, "Nothing in it."),))])
def test_what_ended_as_it_should_cannot_be_retried(tickets: Tickets, receipt: Receipt, outcome: Outcome) -> None:
    claimed(tickets, receipt).finish(outcome)
    assert tickets.dead() == []
    assert not tickets.retry(found(tickets, receipt))
    assert found(tickets, receipt).state is State.DONE


def test_what_has_not_ended_cannot_be_retried(tickets: Tickets, receipt: Receipt) -> None:
    assert not tickets.retry(found(tickets, receipt))
    claimed(tickets, receipt)
    assert not tickets.retry(found(tickets, receipt))


def test_every_key_has_a_lifetime_after_every_end(tickets: Tickets) -> None:
    for outcome in (Outcome("{}"), Outcome(), DEAD):
        one = tickets.create("{}", title="", webhook="https://site.example/", owner="me", idempotency_key=str(outcome))
        claimed(tickets, one).finish(outcome)
    tickets.retry(found(tickets, one))
    assert [key for key in tickets.client.scan_iter() if tickets.client.ttl(key) < 0] == []


def test_the_faults_that_are_ours_are_the_last_ones_documented() -> None:
    assert Code.ARCHIVE_CORRUPT not in OURS
    assert Code.CANCELLED not in OURS
    assert Code.WORKER_VANISHED in OURS


def test_removing_calls_off_first_and_tells_no_site(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    remove(tickets, found(tickets, receipt))
    assert tickets.get(receipt.ticket) is None
    assert execution.finish(Outcome("{}")) is None
    assert [event.name for event in events.past(tickets.client, receipt.ticket).events] == ["log_message", "done"]
    assert Outbox(tickets.client).all() == []
    assert Outbox(tickets.client).due() == []


def test_removing_leaves_no_moment_in_which_a_site_could_be_told(
    tickets: Tickets, receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[list[str]] = []
    script = tickets.client.eval

    def watched(*arguments: Any) -> Any:
        answer = script(*arguments)
        due.append(Outbox(tickets.client).due())
        return answer

    monkeypatch.setattr(tickets.client, "eval", watched)
    remove(tickets, found(tickets, receipt))
    assert due == [[]]


def test_a_ticket_that_ended_otherwise_since_then_is_not_forgotten(tickets: Tickets, receipt: Receipt) -> None:
    first = claimed(tickets, receipt).finish(DEAD)
    assert tickets.retry(found(tickets, receipt))
    assert first is not None
    tickets.forget(receipt.ticket, first.delivery)
    last = claimed(tickets, receipt).finish(Outcome("{}"))
    assert last is not None
    tickets.forget(receipt.ticket, first.delivery)
    assert found(tickets, receipt).success
    tickets.forget(receipt.ticket, last.delivery)
    assert tickets.get(receipt.ticket) is None


def test_retrying_takes_back_the_webhook_and_counts_for_the_quota(tickets: Tickets) -> None:
    strict = Tickets(tickets.client, tickets.settings.model_copy(update={"tickets_at_once": 1}))
    one = strict.create("{}", title="", webhook="https://site.example/", owner="me")
    claimed(strict, one).finish(DEAD)
    assert strict.retry(found(strict, one))
    assert Outbox(strict.client).due() == []
    with pytest.raises(QuotaReached):
        strict.create("{}", title="", owner="me")


def test_one_ticket_does_not_shorten_the_life_of_what_others_share(tickets: Tickets, receipt: Receipt) -> None:
    def lives() -> dict[str, int]:
        return {index: tickets.client.ttl(index) for index in (keys.TICKETS, keys.QUEUE, keys.WORKING)}

    claimed(tickets, receipt)
    before = lives()
    dead = tickets.create("{}", title="")
    claimed(tickets, dead).finish(DEAD)
    assert tickets.retry(found(tickets, dead))
    claimed(tickets, dead).hand_back("It is to be tried again.")
    assert all(after >= before[index] - 1 for index, after in lives().items() if before[index] > 0)
    assert tickets.client.ttl(keys.QUEUE) > 0


def test_a_ticket_that_fails_once_more_stays_in_the_list_of_all(tickets: Tickets, receipt: Receipt) -> None:
    """Nobody has submitted anything for so long that the list has hardly a day to live."""
    for _ in range(2):
        claimed(tickets, receipt).finish(DEAD)
        tickets.client.expire(keys.TICKETS, 60)
        assert tickets.retry(found(tickets, receipt))
    claimed(tickets, receipt).finish(DEAD)
    assert tickets.client.ttl(keys.TICKETS) >= tickets.client.ttl(keys.record(receipt.ticket)) - 1


def test_a_late_retry_takes_back_the_webhook_of_the_latest_end(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(DEAD)
    seen = found(tickets, receipt)
    assert tickets.retry(seen)
    claimed(tickets, receipt).finish(DEAD)
    assert tickets.retry(seen)
    assert Outbox(tickets.client).due() == []


def test_what_cannot_be_retried_is_not_among_the_dead(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    tickets.client.delete(keys.document(receipt.ticket))
    execution.finish(DEAD)
    assert tickets.dead() == []
    assert 0 < tickets.client.ttl(keys.record(receipt.ticket)) <= tickets.settings.result_lifetime


def test_an_idempotency_key_forgets_a_ticket_that_is_gone(tickets: Tickets) -> None:
    one = tickets.create("{}", title="", owner="me", idempotency_key="key")
    remove(tickets, found(tickets, one))
    other = tickets.create("{}", title="", owner="me", idempotency_key="key")
    assert other != one
    assert tickets.create("{}", title="", owner="me", idempotency_key="key") == other
