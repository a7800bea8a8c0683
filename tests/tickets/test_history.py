"""How the latest tickets ended: remembered for longer than the tickets, and never more than a few."""

import pytest
import redis

from knossosd.faults import Code, Finding
from knossosd.tickets import keys
from knossosd.tickets.changes import Change
from knossosd.tickets.ending import Outcome, cancel, remove
from knossosd.tickets.history import KEPT_ERRORS, latest
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.scripts import REMEMBERED
from knossosd.tickets.store import Receipt, Tickets
from tests.tickets.steps import claimed, found

BROKEN = Finding(Code.ARCHIVE_CORRUPT, "It is broken.", "Mend it.", file="ü.7z")
FULL = Finding(Code.DISK_FULL, "The disk is full.")


def test_an_end_is_remembered_with_what_was_wrong(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(Outcome(errors=(BROKEN, FULL)))
    [entry] = latest(tickets.client)
    ended = found(tickets, receipt)
    assert (entry.number, entry.title, entry.success, entry.is_dead) == (receipt.ticket, "My Mod", False, True)
    assert entry.errors == (BROKEN.as_json(), FULL.as_json())
    assert entry.time == pytest.approx(ended.time, abs=1e-3)
    assert entry.runtime == pytest.approx(ended.runtime, abs=1e-3)
    assert entry.until == pytest.approx(entry.time + tickets.client.pttl(keys.record(receipt.ticket)) / 1000, abs=1)


def test_it_outlives_the_ticket_but_not_for_ever(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(Outcome("{}"))
    tickets.client.delete(keys.record(receipt.ticket))  # what time does
    assert [entry.number for entry in latest(tickets.client)] == [receipt.ticket]
    for key in (keys.OUTCOMES, keys.SUCCEEDED):
        assert tickets.client.ttl(key) > tickets.settings.result_lifetime


def test_of_each_kind_only_the_latest_are_remembered(tickets: Tickets) -> None:
    bad = tickets.create("{}", title="bad")
    claimed(tickets, bad).finish(Outcome(errors=(BROKEN,)))
    for number in range(REMEMBERED + 5):
        claimed(tickets, tickets.create("{}", title=str(number))).finish(Outcome("{}"))
    titles = [entry.title for entry in latest(tickets.client)]
    assert titles == [*(str(number) for number in reversed(range(5, REMEMBERED + 5))), "bad"]
    assert tickets.client.hlen(keys.OUTCOMES) == REMEMBERED + 1


def test_of_thousands_of_errors_the_first_are_remembered(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(Outcome(errors=(BROKEN,) * 3000))
    [entry] = latest(tickets.client)
    assert (len(entry.errors), entry.error_count) == (KEPT_ERRORS, 3000)


def test_who_is_tried_again_has_not_ended(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(Outcome(errors=(FULL,)))
    assert tickets.retry(found(tickets, receipt))
    assert latest(tickets.client) == []
    claimed(tickets, receipt).finish(Outcome("{}"))
    assert [entry.success for entry in latest(tickets.client)] == [True]
    assert tickets.client.zcard(keys.FAILED) == 0


def test_who_is_removed_is_not_remembered(tickets: Tickets, receipt: Receipt) -> None:
    remove(tickets, found(tickets, receipt))
    assert latest(tickets.client) == []
    assert not tickets.client.exists(keys.OUTCOMES, keys.SUCCEEDED, keys.FAILED)


def test_the_first_of_the_queue_and_those_at_work_are_found(tickets: Tickets) -> None:
    receipts = [tickets.create("{}", title=str(number)) for number in range(6)]
    for receipt in receipts[:3]:
        claimed(tickets, receipt)
    assert [ticket.title for ticket in tickets.running(2)] == ["0", "1"]
    assert [ticket.title for ticket in tickets.next(2)] == ["3", "4"]


THAT_IS_ALL = "that is all"


def changes(client: redis.Redis, subscription: redis.client.PubSub) -> set[str]:
    """What was told so far and not read yet."""
    client.publish(keys.CHANGES, THAT_IS_ALL)
    told = set()
    while True:
        match subscription.get_message(timeout=10):
            case {"type": "message", "data": str(change)}:
                if change == THAT_IS_ALL:
                    return told
                told.add(change)
            case None:
                pytest.fail("not even that is told")


def test_every_change_is_told(tickets: Tickets) -> None:
    with tickets.client.pubsub() as subscription:
        subscription.subscribe(keys.CHANGES)
        assert changes(tickets.client, subscription) == set()
        receipt = tickets.create("{}", title="t", webhook="https://site.example/hook")
        assert changes(tickets.client, subscription) == {Change.TICKETS}
        execution = claimed(tickets, receipt)
        assert changes(tickets.client, subscription) == {Change.TICKETS}
        execution.hand_back("It is to be tried again.")
        assert changes(tickets.client, subscription) == {Change.TICKETS}
        ended = claimed(tickets, receipt).finish(Outcome(errors=(FULL,)))
        assert changes(tickets.client, subscription) == {Change.TICKETS, Change.DELIVERIES}
        assert ended is not None
        assert ended.delivery is not None
        outbox = Outbox(tickets.client)
        delivery = outbox.take(ended.delivery)
        assert changes(tickets.client, subscription) == {Change.DELIVERIES}
        assert delivery is not None
        outbox.note(delivery, "taken", state=DeliveryState.DELIVERED)
        assert changes(tickets.client, subscription) == {Change.DELIVERIES}
        assert outbox.redeliver(ended.delivery)
        assert changes(tickets.client, subscription) == {Change.DELIVERIES}
        assert tickets.retry(found(tickets, receipt))
        assert Change.TICKETS in changes(tickets.client, subscription)
        cancel(tickets, found(tickets, receipt))
        assert Change.TICKETS in changes(tickets.client, subscription)
        tickets.forget(receipt.ticket)
        assert changes(tickets.client, subscription) == {Change.TICKETS, Change.DELIVERIES}


def test_an_entry_that_only_another_version_understands_hides_no_other(tickets: Tickets, receipt: Receipt) -> None:
    claimed(tickets, receipt).finish(Outcome(errors=(BROKEN,)))
    written = tickets.client.hget(keys.OUTCOMES, str(receipt.ticket))
    assert written
    tickets.client.hset(keys.OUTCOMES, mapping={"5": f'{written[:-1]}, "more"]', "6": "{}"})
    tickets.client.zadd(keys.FAILED, {"5": 1.0, "6": 2.0})
    assert {entry.number for entry in latest(tickets.client)} == {receipt.ticket, 5}
