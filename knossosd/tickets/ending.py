"""How a ticket ends: once, whoever ends it, with the outcome and the webhook's delivery recorded in one step."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from knossosd.conversion.observer import Level
from knossosd.faults import OURS, Code, Finding, time_in_words
from knossosd.tickets import history, keys, scripts
from knossosd.tickets.measures import Duration, Measured, Result, ticket_field
from knossosd.tickets.outbox import LIFETIME
from knossosd.tickets.record import Ticket
from knossosd.tickets.store import Tickets

WHOEVER = "*"
"""In place of an execution: the ticket ends, whoever holds it."""

NOTHING = Measured({})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a ticket: `result` is the generated document as JSON text, None when there is none, and then
    `errors` say why. `last_line` is what watchers are told in the end."""

    result: str | None = None
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    last_line: tuple[Level, str] | None = None

    @property
    def is_dead(self) -> bool:
        """Whether it failed through no fault of the mod's: the operator may want it tried again."""
        return any(error.code in OURS for error in self.errors)

    @property
    def code(self) -> Code | None:
        """What was wrong, None when nothing was. Of several errors, one that is ours, or else the first."""
        codes = [error.code for error in self.errors]
        return next((code for code in codes if code in OURS), codes[0] if codes else None)


@dataclass(frozen=True, slots=True)
class Ended:
    """A ticket has ended, with the code of what was wrong, if anything was. `delivery` names the webhook's, which the
    caller should see to, if there is one."""

    ticket: int
    code: Code | None
    delivery: str | None


def end(
    tickets: Tickets,
    ticket: Ticket,
    outcome: Outcome,
    execution: str = WHOEVER,
    measured: Measured = NOTHING,
    ending: str | None = None,
) -> Ended | None:
    """End the ticket, on behalf of its `execution` or of whoever holds it. `measured` is what that has cost. Who may
    have to ask again names the `ending`, a `new_ending`, so that it is the same one.

    None, and nothing is recorded, when it has ended before, is gone, or is held by another execution.
    """
    number, settings, now = ticket.number, tickets.settings, tickets.now()
    delivery, success = ending or new_ending(), outcome.result is not None
    names = [
        *(name(number) for name in (keys.record, keys.lease, keys.document, keys.answers, keys.events, keys.now)),
        keys.result(number),
        keys.QUEUE,
        keys.WORKING,
        keys.DEAD,
        keys.open_tickets(ticket.owner) if ticket.owner else "",
        keys.OUTBOX,
        keys.DELIVERIES,
        keys.delivery(delivery),
        keys.TICKETS,
        keys.TOTALS,
        keys.slot(now),
        keys.OUTCOMES,
        keys.SUCCEEDED if success else keys.FAILED,
    ]
    last_line = f"{outcome.last_line[0].value}: {outcome.last_line[1]}" if outcome.last_line else None
    arguments: list[Any] = [
        number,
        execution,
        now,
        settings.result_lifetime * 1000,
        max(settings.dead_lifetime, settings.result_lifetime) * 1000 if outcome.is_dead else 0,
        LIFETIME * 1000,
        int(success),
        json.dumps([error.as_json() for error in outcome.errors]),
        json.dumps([warning.as_json() for warning in outcome.warnings]),
        outcome.result or "",
        delivery,
        json.dumps([last_line]) if last_line else "",
        json.dumps([success]),
        keys.NEWS,
        _with_the_end(measured, outcome, now - ticket.created).as_json(),
        history.noted(outcome.errors, is_dead=outcome.is_dead),
    ]
    ended = tickets.client.eval(scripts.END, len(names), *names, *arguments)
    if not ended:
        return None
    return Ended(number, outcome.code, delivery if ticket.webhook else None)


def new_ending() -> str:
    """The id of one ending, which is also that of its webhook's delivery."""
    return secrets.token_hex(16)


def _with_the_end(measured: Measured, outcome: Outcome, age: float) -> Measured:
    """What was measured, and that a ticket of this age has ended so. How long one lasted that was cancelled says
    nothing."""
    result = _result(outcome)
    whole = () if result is Result.CANCELLED else ((Duration.WHOLE.value, age),)
    counted = measured.with_one(ticket_field(result, outcome.code))
    return Measured(counted.amounts, counted.durations + whole)


def _result(outcome: Outcome) -> Result:
    if outcome.is_dead:
        return Result.DEAD
    if outcome.code is Code.CANCELLED:
        return Result.CANCELLED
    return Result.FAILED if outcome.code else Result.SUCCEEDED


def cancel(tickets: Tickets, ticket: Ticket) -> Ended | None:
    """End a ticket because somebody wants it to; its worker notices within a second. None when it has ended before."""
    called_off = Finding(Code.CANCELLED, "The conversion was cancelled.", "Submit the document again if you want to.")
    return end(tickets, ticket, Outcome(errors=(called_off,), last_line=(Level.WARNING, called_off.message)))


def remove(tickets: Tickets, ticket: Ticket) -> None:
    """Forget a ticket and all about it. One that has not ended is called off before, and no webhook is sent."""
    tickets.client.hdel(keys.record(ticket.number), "webhook")  # or its end would call for one at once
    cancel(tickets, ticket)
    tickets.forget(ticket.number)


def expire(tickets: Tickets, ticket: Ticket) -> Ended | None:
    """End a ticket that has lived for too long without an outcome. None when it has ended before."""
    too_old = Finding(
        Code.TICKET_EXPIRED,
        f"The conversion was not through within {time_in_words(tickets.settings.task_lifetime)}.",
        "The server had too much to do, or the archives are too large. Try again later.",
    )
    return end(tickets, ticket, Outcome(errors=(too_old,), last_line=(Level.ERROR, too_old.message)))
