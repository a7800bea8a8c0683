"""Tickets as submitters and askers see them."""

import redis

from knossosd.settings import Settings
from knossosd.tickets import keys
from knossosd.tickets.execution import Execution
from knossosd.tickets.record import State
from knossosd.tickets.store import TICKET_LIMIT, TOKEN_LENGTH, Tickets


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
    execution.finish(result="{}", warnings=[{"code": "c", "message": "\\ and 'quotes'"}])
    standings = tickets.standings([waiting, 7, done])
    assert set(standings) == {waiting, done}
    assert all(standings[number].ticket == tickets.get(number) for number in (waiting, done))


def test_unknown_tickets_are_none(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    assert (tickets.get(7), tickets.result(7), tickets.document(7)) == (None, None, None)
    assert tickets.standings([7]) == tickets.standings([]) == {}
    tickets.remove(7)
    assert tickets.all() == []


def test_expired_tickets_leave_the_lists(redis_client: redis.Redis, settings: Settings) -> None:
    clock = Clock()
    tickets = Tickets(redis_client, settings, clock)
    expired = tickets.create("{}", title="")
    redis_client.delete(*keys.all_of(expired.ticket))
    assert tickets.all() == []
    clock.now += settings.task_lifetime + settings.result_lifetime + 1
    fresh = tickets.create("{}", title="")
    assert redis_client.zrange(keys.TICKETS, 0, -1) == [str(fresh.ticket)]
    assert redis_client.zrange(keys.QUEUE, 0, -1) == [str(fresh.ticket)]


def test_tokens_and_numbers_do_not_repeat(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings)
    receipts = [tickets.create("{}", title="") for _ in range(50)]
    assert len({receipt.ticket for receipt in receipts}) == len({receipt.token for receipt in receipts}) == 50
