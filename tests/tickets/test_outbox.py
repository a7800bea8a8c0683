"""Deliveries: made until one succeeds, never after that, and given up in the end."""

import threading
import time
from typing import Any

import pytest
import redis

from knossosd.faults import Code, Finding
from knossosd.settings import DAY
from knossosd.tickets import keys
from knossosd.tickets import outbox as outbox_module
from knossosd.tickets.ending import Outcome
from knossosd.tickets.outbox import (
    FIRST_PAUSE,
    HOLD,
    LIFETIME,
    LONGEST_PAUSE,
    PATIENCE,
    Delivery,
    DeliveryState,
    Outbox,
)
from knossosd.tickets.scripts import KEPT_ATTEMPTS
from knossosd.tickets.store import Receipt, Tickets
from tests.tickets.steps import claimed, found

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


def taken(outbox: Outbox, delivery_id: str) -> Delivery:
    delivery = outbox.take(delivery_id)
    assert delivery is not None
    return delivery


def log(outbox: Outbox, delivery_id: str) -> tuple[dict[str, Any], ...]:
    delivery = outbox.get(delivery_id)
    assert delivery is not None
    return delivery.log


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
    for outcome in (WAITING, GIVEN_UP):
        outbox.note(old, "from the grave", state=outcome)
        assert state(outbox, delivery_id) is WAITING
        assert outbox.due() == []
    outbox.note(new, "taken", state=DELIVERED)
    assert state(outbox, delivery_id) is DELIVERED


def test_a_success_counts_although_somebody_else_tries_by_now(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    old = taken(outbox, delivery_id)
    clock.now += HOLD + 1
    new = taken(outbox, delivery_id)
    outbox.note(old, "taken", state=DELIVERED)
    outbox.note(new, "no answer", state=WAITING)
    clock.now += PATIENCE
    assert outbox.take(delivery_id) is None
    assert [one["outcome"] for one in log(outbox, delivery_id)] == ["taken"]


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


def test_a_success_is_noted_however_long_redis_is_away(
    outbox: Outbox, redis_client: redis.Redis, delivery_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can take the delivery meanwhile; without the note, the site would be told a second time."""
    delivery = taken(outbox, delivery_id)
    monkeypatch.setattr(outbox_module, "TICK", 0.01)
    began, monotonic = time.monotonic(), time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: began + 1000 * (monotonic() - began))
    noting = threading.Thread(target=lambda: outbox.note(delivery, "taken", state=DELIVERED))
    redis_client.config_set("maxmemory", 1)
    try:
        noting.start()
        noting.join(1)
    finally:
        redis_client.config_set("maxmemory", 0)
    noting.join(10)
    assert state(outbox, delivery_id) is DELIVERED


def test_who_finds_redis_back_first_lets_the_other_note_his_success(
    outbox: Outbox, clock: Clock, delivery_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was away for longer than anybody holds a delivery."""
    first = taken(outbox, delivery_id)
    clock.now += HOLD + 1
    monkeypatch.setattr(outbox_module, "LAST_CALL", 2)
    noting = threading.Timer(0.2, outbox.note, (first, "taken"), {"state": DELIVERED})
    noting.start()
    assert outbox.take(delivery_id) is None
    noting.join()
    assert [one["outcome"] for one in log(outbox, delivery_id)] == ["taken"]


def test_after_a_success_there_is_no_other_attempt(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    delivery = outbox.take(delivery_id)
    assert delivery is not None
    outbox.note(delivery, "taken", state=DELIVERED)
    clock.now += PATIENCE
    assert outbox.due() == []
    assert outbox.take(delivery_id) is None


def test_it_is_tried_less_and_less_often_for_a_day(
    outbox: Outbox, clock: Clock, delivery_id: str, redis_client: redis.Redis
) -> None:
    began, pauses = clock.now, []
    while state(outbox, delivery_id) is WAITING:
        delivery = outbox.take(delivery_id)
        assert delivery is not None
        failed = clock.now
        outbox.note(delivery, "no answer", state=WAITING)
        if state(outbox, delivery_id) is WAITING:
            due = redis_client.zscore(keys.OUTBOX, delivery_id)
            assert due is not None
            clock.now = due - 1
            assert outbox.due() == []
            clock.now = due
            assert outbox.due() == [delivery_id]
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


def test_nobody_makes_it_once_more_beside_an_attempt(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    delivery = taken(outbox, delivery_id)
    assert outbox.redeliver(delivery_id)
    assert outbox.due() == []
    assert outbox.take(delivery_id) is None
    outbox.note(delivery, "taken", state=DELIVERED)
    clock.now += PATIENCE
    assert outbox.take(delivery_id) is None


def test_what_is_made_once_more_is_tried_like_a_new_one(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    for number in range(8):
        outbox.note(taken(outbox, delivery_id), "no answer", state=WAITING)
        clock.now += FIRST_PAUSE * 2**number + 1
    last = taken(outbox, delivery_id)
    clock.now += 1
    assert outbox.redeliver(delivery_id)
    outbox.note(last, "no answer", state=WAITING)
    for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE):
        clock.now += pause - 1
        assert outbox.due() == []
        clock.now += 2
        outbox.note(taken(outbox, delivery_id), "no answer", state=WAITING)
    assert state(outbox, delivery_id) is WAITING


def test_what_is_made_once_more_is_remembered_as_long_as_a_new_one(
    outbox: Outbox, clock: Clock, delivery_id: str
) -> None:
    clock.now += LIFETIME - 1
    assert outbox.redeliver(delivery_id)
    clock.now += LIFETIME - 1
    outbox.trim()
    assert [delivery.id for delivery in outbox.all()] == [delivery_id]


def test_a_site_that_says_when_to_come_again_is_left_alone_until_then(
    outbox: Outbox, clock: Clock, delivery_id: str
) -> None:
    for after, pause in ((600.0, 600.0), (1.0, 2 * FIRST_PAUSE)):
        outbox.note(taken(outbox, delivery_id), "busy", state=WAITING, after=after)
        clock.now += pause - 1
        assert outbox.due() == []
        clock.now += 2
        assert outbox.due() == [delivery_id]


def test_a_ticket_that_is_retried_takes_its_delivery_back_even_from_who_makes_it(
    tickets: Tickets, outbox: Outbox
) -> None:
    receipt = tickets.create("{}", title="", webhook="https://site.example/")
    ended = claimed(tickets, receipt).finish(Outcome(errors=(Finding(Code.DISK_FULL, "The disk is full."),)))
    assert ended is not None
    assert ended.delivery is not None
    delivery = taken(outbox, ended.delivery)
    assert tickets.retry(found(tickets, receipt))
    outbox.note(delivery, "no answer", state=WAITING)
    assert state(outbox, ended.delivery) is GIVEN_UP
    assert [one["outcome"] for one in log(outbox, ended.delivery)] == ["The ticket is converted once more."]
    assert tickets.client.zcard(keys.OUTBOX) == 0


def test_only_the_last_outcomes_are_kept(outbox: Outbox, clock: Clock, delivery_id: str) -> None:
    for number in range(40):
        assert outbox.redeliver(delivery_id)
        outbox.note(taken(outbox, delivery_id), f"answer {number}", state=DELIVERED)
    outcomes = [one["outcome"] for one in log(outbox, delivery_id)]
    assert outcomes == [f"answer {number}" for number in range(40 - KEPT_ATTEMPTS, 40)]


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


def test_a_delivery_that_only_another_version_understands_hides_no_other(
    outbox: Outbox, delivery_id: str, redis_client: redis.Redis
) -> None:
    redis_client.hset(keys.delivery("other"), mapping={"state": "postponed"})
    redis_client.zadd(keys.DELIVERIES, {"other": 1.0})
    assert outbox.get("other") is None
    assert [delivery.id for delivery in outbox.all()] == [delivery_id]
    assert [delivery.id for delivery in outbox.latest(5)] == [delivery_id]


def test_a_delivery_that_is_gone_is_not_due_for_ever(
    outbox: Outbox, delivery_id: str, redis_client: redis.Redis
) -> None:
    """Nobody came for longer than it is remembered."""
    redis_client.zadd(keys.OUTBOX, {"gone": 1.0})
    assert outbox.due() == ["gone", delivery_id]
    outbox.trim()
    assert outbox.due() == [delivery_id]


def test_an_attempt_is_under_way_until_it_is_noted_or_nobody_can_be_at_it(
    redis_client: redis.Redis, clock: Clock, delivery_id: str
) -> None:
    outbox = Outbox(redis_client, 10, now=clock, jitter=lambda: 1)
    begun = clock.now
    assert outbox.under_way(begun + 1) == 0
    delivery = outbox.take(delivery_id)
    assert delivery is not None
    assert outbox.under_way(begun + 1) == 1
    assert outbox.under_way(begun - 1) == 0, "that one was begun later"
    clock.now += 11
    assert outbox.under_way(begun + 1) == 1
    outbox.note(delivery, "failed", state=WAITING)
    assert outbox.under_way(begun + 1) == 0
    clock.now += DAY
    assert outbox.take(delivery_id) is not None
    assert outbox.under_way(clock.now) == 1
    clock.now += 13
    assert outbox.under_way(clock.now) == 0, "whoever took it has vanished"
