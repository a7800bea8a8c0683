"""Tickets that nobody sees to any more: back in the queue, or ended with the reason.

Each function may be called at any time, by several processes at once.
"""

from collections.abc import Collection
from typing import cast

from knossosd.conversion.observer import Level
from knossosd.faults import Code, Finding
from knossosd.tickets import keys
from knossosd.tickets.connection import now_in_redis
from knossosd.tickets.ending import Ended, Outcome, expire
from knossosd.tickets.execution import Execution
from knossosd.tickets.record import Ticket
from knossosd.tickets.store import Tickets


def reap(tickets: Tickets) -> tuple[list[int], list[Ended]]:
    """Take over every ticket whose lease ran out.

    Returns the tickets that wait again, for which the caller must wake a worker, and the ends of those that have failed
    now, because `MAX_ATTEMPTS` workers vanished over them.
    """
    waiting, failed = [], []
    for number in _numbers(tickets, keys.WORKING):
        if _found(tickets, number) is None:
            continue
        execution = Execution.take_over(tickets, number)
        if execution is None:
            continue
        if execution.ticket.vanished < tickets.settings.max_attempts:
            execution.log(Level.WARNING, "The worker vanished. The conversion starts again.")
            if execution.hand_back():
                waiting.append(number)
        elif ended := execution.finish(_given_up(execution.ticket.vanished)):
            failed.append(ended)
    return waiting, failed


def unheard(tickets: Tickets, heard: Collection[int]) -> list[int]:
    """The tickets that wait for a worker and are not among those that workers will hear of."""
    return [number for number in _numbers(tickets, keys.QUEUE) if number not in heard]


def expire_old(tickets: Tickets) -> list[Ended]:
    """End the tickets that have waited or worked for longer than `TASK_LIFETIME`, and forget those that are gone.

    Judged by the clock of Redis: the one of this host may have jumped.
    """
    ended, now = [], now_in_redis(tickets.client)
    for number in _numbers(tickets, keys.TICKETS, now):
        ticket = _found(tickets, number)
        if ticket and now - ticket.created >= tickets.settings.task_lifetime and (one := expire(tickets, ticket)):
            ended.append(one)
    return ended


def _numbers(tickets: Tickets, index: str, before: float | str = "+inf") -> list[int]:
    return [int(number) for number in cast(list[str], tickets.client.zrangebyscore(index, "-inf", before))]


def _found(tickets: Tickets, number: int) -> Ticket | None:
    """The ticket; one that is gone is forgotten, and one that only another version understands is let alone."""
    ticket = tickets.get(number)
    if ticket is None and not tickets.has(number):
        tickets.forget(number)
    return ticket


def _given_up(vanished: int) -> Outcome:
    reason = Finding(
        Code.WORKER_VANISHED,
        f"The worker vanished in the middle of the conversion, {vanished} times.",
        "This is not your mod's fault. Tell the operator, or try again later.",
    )
    return Outcome(errors=(reason,), last_line=(Level.ERROR, "The worker vanished too often. Giving up."))
