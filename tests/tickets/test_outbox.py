"""Deliveries: made until one succeeds, never after that, and given up in the end."""

import pytest
import redis

from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome
from knossosd.tickets.outbox import FIRST_PAUSE, HOLD, LIFETIME, LONGEST_PAUSE, PATIENCE, DeliveryState, Outbox
from knossosd.tickets.store import Receipt, Tickets
from tests.tickets.steps import claimed

WAITING, DELIVERED, GIVEN_UP = DeliveryState.WAITING, DeliveryState.DELIVERED, DeliveryState.GIVEN_UP


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(tickets: Tickets) -> Clock:
    return Clock(tickets.now() + 1)


@pytest.fixture
def outbox(redis_client: redis.Redis, clock: Clock) -> Outbox:
    return Outbox(redis_client, now=clock, jitter=lambda: 0.5)


@pytest.fixture
def delivery_id(tickets: Tickets, receipt: Receipt) -> str:
    ended = claimed(tickets, receipt).finish(Outcome("{}"))
    assert ended is not None
    assert ended.delivery is not None
    return ended.delivery


def state(outbox: Outbox, delivery_id: str) -> DeliveryState:
    delivery = outbox.get(delivery_id)
    assert delivery is not None
    return delivery.state


def test_one_at_a_time_has_a_delivery(outbox: Outbox, delivery_id: str) -> None:
    taken = [outbox.take(delivery_id) for _ in range(3)]
    assert [one is not None for one in taken] == [True, False, False]
    assert outbox.due() == []


def test_when_somebody_vanishes_with_it_it_is_due_again(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    old = outbox.take(delivery_id)
    clock.now += HOLD + 1
    assert outbox.due() == [delivery_id]
    new = outbox.take(delivery_id)
    assert old is not None
    assert new is not None
    assert new.attempts == 2
    outbox.note(old, "from the grave", state=DELIVERED)
    assert state(outbox, delivery_id) is WAITING
    outbox.note(new, "taken", state=DELIVERED)
    assert state(outbox, delivery_id) is DELIVERED


def test_when_the_clock_was_set_back_it_is_due_at_once(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    clock.now -= 86400
    assert outbox.due() == [delivery_id]
    taken = outbox.take(delivery_id)
    assert taken is not None
    assert outbox.due() == [], "somebody has it"
    outbox.note(taken, "x", state=WAITING)
    assert outbox.due() == [], "it has its pause"
    clock.now += LONGEST_PAUSE
    assert outbox.due() == [delivery_id]


def test_after_a_success_there_is_no_other_attempt(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    delivery = outbox.take(delivery_id)
    assert delivery is not None
    outbox.note(delivery, "taken", state=DELIVERED)
    clock.now += PATIENCE
    assert outbox.due() == []
    assert outbox.take(delivery_id) is None


def test_it_is_tried_less_and_less_often_for_a_day(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    began, pauses = clock.now, []
    while state(outbox, delivery_id) is WAITING:
        delivery = outbox.take(delivery_id)
        assert delivery is not None
        failed = clock.now
        outbox.note(delivery, "no answer", state=WAITING)
        while not outbox.due() and state(outbox, delivery_id) is WAITING:
            clock.now += 1
        pauses.append(clock.now - failed)
    assert state(outbox, delivery_id) is GIVEN_UP
    assert pauses[:4] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE], abs=1)
    assert max(pauses) == pytest.approx(LONGEST_PAUSE, abs=1)
    assert PATIENCE < clock.now - began < PATIENCE + LONGEST_PAUSE
    assert outbox.due() == []
    [delivery] = outbox.all()
    assert delivery.log[-1]["outcome"] == "no answer"
    assert len(delivery.log) == delivery.attempts


def test_whatever_became_of_it_it_can_be_made_once_more(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    for outcome in (DELIVERED, GIVEN_UP):
        delivery = outbox.take(delivery_id)
        assert delivery is not None
        outbox.note(delivery, "x", state=outcome)
        assert outbox.redeliver(delivery_id)
        assert outbox.due() == [delivery_id]
    assert not outbox.redeliver("unknown")
    assert not outbox._client.exists(keys.delivery("unknown"))


def test_what_is_gone_leaves_the_lists(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    outbox._client.delete(keys.delivery(delivery_id))
    assert outbox.take(delivery_id) is None
    assert outbox.due() == []
    assert outbox.all() == []
    clock.now += LIFETIME + 1
    outbox.trim()
    assert outbox._client.zcard(keys.DELIVERIES) == 0


def test_the_latest_deliveries_are_found_alone(tickets: Tickets, outbox: Outbox) -> None:
    ids = []
    for _ in range(4):
        ended = claimed(tickets, tickets.create("{}", title="t", webhook="https://site.example/")).finish(Outcome("{}"))
        assert ended is not None
        ids.append(ended.delivery)
    assert [delivery.id for delivery in outbox.latest(3)] == ids[:0:-1]
