"""What operators do: list all tickets, call off, try again and remove single ones, have webhooks delivered once more.

The calls that change something need the key in `Authorization`, and are refused to pages of other sites: those cannot
send a `Bearer`, but the browser may know the password of HTTP Basic.
"""

import logging
from collections.abc import Callable
from typing import Any

import bottle
from bottle import HTTPResponse, request

from knossosd import logs
from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.ending import cancel, remove
from knossosd.tickets.outbox import Outbox
from knossosd.tickets.record import Ticket
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake
from knossosd.web.access import is_foreign, key_of
from knossosd.web.answers import denied, foreign, refused, status_of

log = logging.getLogger(__name__)


def install(app: bottle.Bottle, settings: Settings, keyring: Keyring, tickets: Tickets, wake: Wake) -> None:
    """Add the routes."""
    monitor = _Monitor(settings, keyring, tickets, wake)
    app.get("/api/list_tasks", callback=monitor.list_tasks)
    app.post("/api/webhooks/<delivery>/redeliver", callback=monitor.redeliver)
    for action in (monitor.cancel, monitor.retry, monitor.remove):
        app.post(f"/api/tasks/<ticket:int>/{action.__name__}", callback=monitor.on_ticket(action))


class _Monitor:
    def __init__(self, settings: Settings, keyring: Keyring, tickets: Tickets, wake: Wake) -> None:
        self.settings = settings
        self.keyring = keyring
        self.tickets = tickets
        self.wake = wake
        self.outbox = Outbox(tickets.client)

    def list_tasks(self) -> Any:
        """Every ticket and how it is doing."""
        if not self.settings.open_monitor and not self._is_operator():
            return denied()
        now = self.tickets.now()
        return {
            str(ticket.number): {**status_of(ticket), "title": ticket.title, "age": round(now - ticket.created, 3)}
            for ticket in self.tickets.all()
        }

    def on_ticket(self, action: Callable[[Ticket], bool]) -> Callable[[int], Any]:
        """The route of an action."""

        def act(ticket: int) -> Any:
            if refusal := self._refusal():
                return refusal
            found = self.tickets.get(ticket)
            if found is None:
                return refused(404, "There is no such ticket (any more).")
            logs.ticket.set(ticket)
            done = action(found)
            log.info(
                "an operator asked to %s ticket %d: %s", action.__name__, ticket, "done" if done else "nothing to do"
            )
            return {"error": False, "done": done}

        return act

    def cancel(self, ticket: Ticket) -> bool:
        ended = cancel(self.tickets, ticket)
        self.wake.courier([ended])
        return ended is not None

    def retry(self, ticket: Ticket) -> bool:
        waits = self.tickets.retry(ticket)
        if waits:
            self.wake.worker(ticket.number)
        return waits

    def remove(self, ticket: Ticket) -> bool:
        remove(self.tickets, ticket)
        return True

    def redeliver(self, delivery: str) -> Any:
        """Make a webhook's delivery once more, whatever became of it."""
        if refusal := self._refusal():
            return refusal
        if not self.outbox.redeliver(delivery):
            return refused(404, "There is no such delivery (any more).")
        log.info("an operator asked for the delivery %s once more", delivery)
        self.wake.again(delivery)
        return {"error": False, "done": True}

    def _refusal(self) -> HTTPResponse | None:
        """Why who asks may change nothing, if so."""
        if is_foreign(request.environ):
            return foreign()
        return None if self._is_operator() else denied()

    def _is_operator(self) -> bool:
        return key_of(request.environ, self.keyring, Scope.MONITOR) is not None
