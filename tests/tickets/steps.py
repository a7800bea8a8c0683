"""Steps that the tests of tickets take."""

from knossosd.tickets import events, keys
from knossosd.tickets.execution import Execution
from knossosd.tickets.record import Ticket
from knossosd.tickets.store import Receipt, Tickets


def claimed(tickets: Tickets, receipt: Receipt) -> Execution:
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    return execution


def found(tickets: Tickets, receipt: Receipt) -> Ticket:
    ticket = tickets.get(receipt.ticket)
    assert ticket is not None
    return ticket


def position(tickets: Tickets, receipt: Receipt) -> int | None:
    return tickets.standings([receipt.ticket])[receipt.ticket].position


def log_lines(tickets: Tickets, receipt: Receipt) -> list[str]:
    past = events.past(tickets.client, receipt.ticket)
    return [event.arguments[0] for event in past.events if event.name == "log_message"]


def vanish(tickets: Tickets, receipt: Receipt) -> None:
    """What time does to the lease of a worker that is gone."""
    tickets.client.delete(keys.lease(receipt.ticket))
