"""Tickets whose worker vanished: back in the queue, or ended with the reason."""

from typing import cast

from knossosd.conversion.observer import Level
from knossosd.faults import Code, Finding
from knossosd.tickets import keys
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Tickets


def reap(tickets: Tickets) -> tuple[list[int], list[int]]:
    """Take over every ticket whose lease ran out.

    Returns the tickets that wait again, for which the caller must wake a worker, and those that were tried
    `MAX_ATTEMPTS` times and have failed now.
    """
    waiting, failed = [], []
    for number in (int(one) for one in cast(list[str], tickets.client.zrange(keys.WORKING, 0, -1))):
        if tickets.get(number) is None:
            tickets.client.zrem(keys.WORKING, str(number))
            continue
        execution = Execution.take_over(tickets, number)
        if execution is None:
            continue
        if execution.ticket.attempt < tickets.settings.max_attempts:
            execution.log(Level.WARNING, "The worker vanished. The conversion starts again.")
            execution.hand_back()
            waiting.append(number)
        else:
            execution.log(Level.ERROR, "The worker vanished too often. Giving up.")
            execution.finish(result=None, errors=[_vanished(execution.ticket.attempt)])
            failed.append(number)
    return waiting, failed


def _vanished(attempts: int) -> Finding:
    return Finding(
        Code.WORKER_VANISHED,
        f"The worker vanished in the middle of the conversion, {attempts} times in a row.",
        "This is not your mod's fault. Tell the operator, or try again later.",
    )
