"""What operators see and do: every ticket, and calling off, trying again and removing single ones.

The calls that change something need the key in `Authorization`, which no other site can make a browser send.
"""

import logging
from collections.abc import Callable
from typing import Any

import bottle
from bottle import request

from knossosd import logs
from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.ending import cancel, remove
from knossosd.tickets.record import Ticket
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake
from knossosd.web.access import key_of
from knossosd.web.answers import denied, refused, status_of

log = logging.getLogger(__name__)


def install(app: bottle.Bottle, settings: Settings, keyring: Keyring, tickets: Tickets, wake: Wake) -> None:
    """Add the routes."""
    monitor = _Monitor(settings, keyring, tickets, wake)
    app.get("/api/list_tasks", callback=monitor.list_tasks)
    for action in (monitor.cancel, monitor.retry, monitor.remove):
        app.post(f"/api/tasks/<ticket:int>/{action.__name__}", callback=monitor.on_ticket(action))


class _Monitor:
    def __init__(self, settings: Settings, keyring: Keyring, tickets: Tickets, wake: Wake) -> None:
        self.settings = settings
        self.keyring = keyring
        self.tickets = tickets
        self.wake = wake

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
            if not self._is_operator():
                return denied()
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

    def _is_operator(self) -> bool:
        return key_of(request.environ, self.keyring, Scope.MONITOR) is not None
