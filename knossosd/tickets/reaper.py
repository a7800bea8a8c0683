"""Tickets that nobody sees to any more: back in the queue, or ended with the reason.

Each function may be called at any time, by several processes at once.
"""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import cast

import redis

from knossosd.conversion.observer import Level
from knossosd.faults import Code, Finding
from knossosd.tickets import keys, scripts
from knossosd.tickets.connection import GLANCE, is_passing
from knossosd.tickets.ending import Ended, Outcome, expire
from knossosd.tickets.execution import BEAT, Execution
from knossosd.tickets.record import State, Ticket
from knossosd.tickets.store import Tickets

log = logging.getLogger(__name__)

LAST_CALL = GLANCE + 2 * BEAT
"""Seconds in which whoever lives renews a lease that ran out: while Redis was away for longer than that lasts, nobody
could, and then we may be the first to find it back."""


def reap(tickets: Tickets) -> tuple[list[int], list[Ended]]:
    """Take over every ticket whose lease ran out, and whose worker does not renew it now.

    Returns the tickets that wait again, for which the caller must wake a worker, and the ends of those that have failed
    now, because `MAX_ATTEMPTS` workers vanished over them.
    """
    waiting: list[int] = []
    failed: list[Ended] = []
    numbers = _numbers(tickets, keys.WORKING)
    if numbers and tickets.client.exists(*map(keys.lease, numbers)) < len(numbers):
        time.sleep(LAST_CALL)
    for number in numbers:
        with _by_itself(number):
            if _found(tickets, number) and (execution := Execution.take_over(tickets, number)):
                if execution.ticket.vanished < tickets.settings.max_attempts:
                    if execution.hand_back("The worker vanished. The conversion starts again."):
                        waiting.append(number)
                elif ended := execution.finish(_given_up(execution.ticket.vanished)):
                    failed.append(ended)
    return waiting, failed


def mend_indexes(tickets: Tickets) -> None:
    """Put the tickets that wait or work, and are not among those, where they belong: somebody removed the index, or
    Redis did, for want of memory."""
    indexed = {
        State.WAITING.value: set(_numbers(tickets, keys.QUEUE)),
        State.WORKING.value: set(_numbers(tickets, keys.WORKING)),
    }
    numbers = _numbers(tickets, keys.TICKETS)
    with tickets.client.pipeline(transaction=False) as pipe:
        for number in numbers:
            pipe.hget(keys.record(number), "state")
        states = pipe.execute(raise_on_error=False)
    for number, state in zip(numbers, states, strict=True):
        if state in indexed and number not in indexed[state]:
            with _by_itself(number):
                tickets.client.eval(scripts.INDEX, 3, keys.record(number), keys.QUEUE, keys.WORKING, number)


def unheard(tickets: Tickets, heard: Collection[int]) -> list[int]:
    """The tickets that wait for a worker and are not among those that workers will hear of."""
    return [number for number in _numbers(tickets, keys.QUEUE) if number not in heard]


def expire_old(tickets: Tickets) -> list[Ended]:
    """End the tickets that have waited or worked for longer than `TASK_LIFETIME`, and forget those that are gone."""
    ended, now = [], tickets.now()
    for number in _numbers(tickets, keys.TICKETS, now):
        with _by_itself(number):
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


@contextmanager
def _by_itself(number: int) -> Iterator[None]:
    """See to one ticket: what is wrong with it keeps nobody from the others. Raises `RedisError` when Redis is at
    fault, which none of them would get through."""
    try:
        yield
    except redis.RedisError as error:
        if is_passing(error):
            raise
        log.exception("ticket %d cannot be seen to", number)


def _given_up(vanished: int) -> Outcome:
    reason = Finding(
        Code.WORKER_VANISHED,
        f"The worker vanished in the middle of the conversion, {vanished} times.",
        "This is not your mod's fault. Tell the operator, or try again later.",
    )
    return Outcome(errors=(reason,), last_line=(Level.ERROR, "The worker vanished too often. Giving up."))
