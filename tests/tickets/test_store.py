"""Tickets as submitters and askers see them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from knossosd.faults import Code, Finding
from knossosd.settings import Settings
from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.record import State
from knossosd.tickets.store import (
    TICKET_LIMIT,
    TOKEN_LENGTH,
    KeyReused,
    QueueFull,
    QuotaReached,
    Receipt,
    Tickets,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_new_ticket_waits_in_the_queue(redis_client: redis.Redis, settings: Settings) -> None:
    clock = Clock()
    tickets = Tickets(redis_client, settings, clock)
    receipt = tickets.create('{"mods": []}', title="Mein Mod ✓", webhook="https://site.example/hook")
    assert 0 <= receipt.ticket < TICKET_LIMIT
    assert len(receipt.token) == TOKEN_LENGTH
    ticket = tickets.get(receipt.ticket)
    assert ticket is not None
    assert (ticket.state, ticket.time, ticket.title, ticket.token, ticket.webhook, ticket.attempt) == (
        State.WAITING,
        clock.now,
        "Mein Mod ✓",
        receipt.token,
        "https://site.example/hook",
        0,
    )
    assert tickets.document(receipt.ticket) == '{"mods": []}'
    assert tickets.result(receipt.ticket) is None


def positions(tickets: Tickets, numbers: list[int]) -> list[int | None]:
    standings = tickets.standings(numbers)
    return [standings[number].position for number in numbers]


def test_positions_count_from_one_in_order_of_submission(redis_client: redis.Redis, settings: Settings) -> None:
    clock = Clock()
    tickets = Tickets(redis_client, settings, clock)
    numbers = []
    for _ in range(4):
        numbers.append(tickets.create("{}", title="").ticket)
        clock.now += 1
    assert positions(tickets, numbers) == [1, 2, 3, 4]
    Execution.claim(tickets, numbers[1])
    assert positions(tickets, numbers) == [1, None, 2, 3]
    assert [ticket.number for ticket in tickets.all()] == numbers


def test_a_standing_has_the_whole_ticket(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    waiting, done = (tickets.create("{}", title='"Ünï/code" ✓').ticket for _ in range(2))
    execution = Execution.claim(tickets, done)
    assert execution is not None
    execution.finish(Outcome("{}", warnings=(Finding(Code.ARCHIVE_WARNING, "\\ and 'quotes'"),)))
    standings = tickets.standings([waiting, 7, done])
    assert set(standings) == {waiting, done}
    assert all(standings[number].ticket == tickets.get(number) for number in (waiting, done))


def test_unknown_tickets_are_none(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    assert (tickets.get(7), tickets.result(7), tickets.document(7)) == (None, None, None)
    assert tickets.standings([7]) == tickets.standings([]) == {}
    tickets.forget(7)
    assert tickets.all() == []


def test_tokens_and_numbers_do_not_repeat(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    receipts = [tickets.create("{}", title="") for _ in range(50)]
    assert len({receipt.ticket for receipt in receipts}) == len({receipt.token for receipt in receipts}) == 50


def test_what_is_submitted_again_with_its_key_is_the_same_ticket(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)

    def submit(document: str = "{}", owner: str = "me", **more: Any) -> Receipt:
        return tickets.create(document, title="", owner=owner, idempotency_key="key", **more)

    first = submit()
    assert submit() == first
    assert submit(owner="somebody else") != first
    for other in ({"document": "[]"}, {"webhook": "https://site.example/"}, {"use_cache": False}):
        with pytest.raises(KeyReused):
            submit(**other)
    assert [ticket.number for ticket in tickets.all()].count(first.ticket) == 1
    assert len(tickets.all()) == 2
    assert [key for key in redis_client.scan_iter() if redis_client.ttl(key) < 0] == []


def test_many_at_once_with_the_same_key_are_one_ticket(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    with ThreadPoolExecutor(10) as pool:
        receipts = list(pool.map(lambda _: tickets.create("{}", title="", idempotency_key="key"), range(30)))
    assert len(set(receipts)) == len(tickets.all()) == 1


def test_a_full_queue_takes_no_more(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"max_queue": 2}))
    first, _ = tickets.create("{}", title=""), tickets.create("{}", title="")
    with pytest.raises(QueueFull):
        tickets.create("{}", title="")
    assert len(tickets.all()) == 2
    Execution.claim(tickets, first.ticket)
    tickets.create("{}", title="")


def test_an_owner_has_so_many_tickets_in_an_hour(redis_client: redis.Redis, settings: Settings) -> None:
    clock = Clock()
    tickets = Tickets(redis_client, settings.model_copy(update={"tickets_per_hour": 2}), clock)
    tickets.create("{}", title="", owner="me")
    clock.now += 600
    tickets.create("{}", title="", owner="me")
    with pytest.raises(QuotaReached) as caught:
        tickets.create("{}", title="", owner="me")
    assert caught.value.after == pytest.approx(3000, abs=2)
    tickets.create("{}", title="", owner="you")
    stricter = Tickets(redis_client, settings.model_copy(update={"tickets_per_hour": 1}), clock)
    with pytest.raises(QuotaReached) as caught:
        stricter.create("{}", title="", owner="me")
    assert caught.value.after == pytest.approx(3600, abs=2)
    clock.now += 3001
    tickets.create("{}", title="", owner="me")


def test_an_owner_has_so_many_tickets_at_once(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"tickets_at_once": 2}))
    receipts = [tickets.create("{}", title="", owner="me") for _ in range(2)]
    with pytest.raises(QuotaReached):
        tickets.create("{}", title="", owner="me")
    execution = Execution.claim(tickets, receipts[0].ticket)
    assert execution is not None
    execution.finish(Outcome("{}"))
    tickets.create("{}", title="", owner="me")
    with pytest.raises(QuotaReached):
        tickets.create("{}", title="", owner="me")
    tickets.forget(receipts[1].ticket)
    tickets.create("{}", title="", owner="me")


def test_a_server_without_memory_takes_no_ticket_and_nothing_is_left_of_it(
    redis_client: redis.Redis, settings: Settings
) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"tickets_per_hour": 1}))
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            tickets.create("{}", title="", owner="me", idempotency_key="key")
        assert redis_client.dbsize() == 0
    finally:
        redis_client.config_set("maxmemory", 0)
    tickets.create("{}", title="", owner="me", idempotency_key="key")


def test_a_record_that_cannot_be_read_hides_no_other(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    broken, whole = (tickets.create("{}", title="", owner="me") for _ in range(2))
    for field, value in (("state", "SLEEPING"), ("created", "long ago"), ("errors", "{")):
        redis_client.hset(keys.record(broken.ticket), field, value)
        assert [one.number for one in tickets.all()] == [whole.ticket]
        assert [one.number for one in tickets.next(5)] == [whole.ticket]
        assert list(tickets.standings([broken.ticket, whole.ticket])) == [whole.ticket]
        assert tickets.get(broken.ticket) is None
    tickets.forget(broken.ticket)
    assert [key for key in redis_client.scan_iter() if str(broken.ticket) in key] == []
