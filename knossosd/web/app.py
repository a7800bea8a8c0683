"""All routes on one Bottle app, and what happens when one of them fails."""

import json
import logging
import secrets
from collections.abc import Callable
from typing import Any

import bottle
import redis
from bottle import HTTPResponse, request

from knossosd import logs
from knossosd.keyring import Keyring
from knossosd.settings import Settings
from knossosd.tickets.refusals import Refusals
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake
from knossosd.web import api, drop, live, mirror, monitor, ops, pages
from knossosd.web.answers import refused
from knossosd.web.disk import Disk
from knossosd.web.feed import Feed
from knossosd.web.lookup import Lookup
from knossosd.web.throttle import Throttle

log = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which a client may ask again when Redis is away."""

Callback = Callable[..., Any]


def make_app(settings: Settings, tickets: Tickets, wake: Wake, feed: Feed) -> bottle.Bottle:
    """The app. `wake` is for what workers have to do; `feed` shows events to watchers."""
    app = _App()
    app.install(_Border())
    app.install(Throttle(Refusals(tickets.client, settings.wrong_keys)))
    app.add_hook("before_request", lambda: logs.ticket.set(None))  # a connection may bring several requests
    for status, handler in ((400, _bad_request), (404, _not_found), (405, _not_allowed)):
        app.error(status, handler)
    keyring, lookup, disk = Keyring.from_settings(settings), Lookup(tickets), Disk(settings)
    api.install(app, settings, keyring, tickets, lookup, wake, disk)
    monitor.install(app, settings, keyring, tickets, wake)
    drop.install(app, settings, keyring, disk)
    live.install(app, settings, lookup, feed)
    mirror.install(app, settings)
    ops.install(app, settings, disk)
    pages.install(app, settings)
    return app


class _App(bottle.Bottle):  # type: ignore[misc]
    """Bottle's own pages of errors would show the address that was asked for."""

    def default_error_handler(self, _error: Any) -> str:
        return _plain("The request cannot be answered.")


class _Border:
    """The Bottle plugin around every route: whatever goes wrong becomes an answer, and a line in the log."""

    name = "border"
    api = 2

    def apply(self, callback: Callback, _route: bottle.Route) -> Callback:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            logs.ticket.set(kwargs.get("ticket"))
            try:
                return callback(*args, **kwargs)
            except HTTPResponse:
                raise
            except redis.RedisError as error:
                log.error("Redis is away: %s", error)
                message = "The server cannot reach its database. Please try again in a moment."
                return refused(503, message, Retry_After=str(RETRY_AFTER))
            except Exception:  # the border: nobody else would tell the client, or the operator
                incident = secrets.token_hex(4)
                log.exception("incident %s: %s %s failed", incident, request.method, request.route.rule)
                return refused(500, f"The server failed. The operator finds the reason as incident {incident}.")

        return guarded


def _not_found(_error: Any) -> Any:
    return _plain("There is nothing at this address.")


def _not_allowed(_error: Any) -> Any:
    return _plain("This address does not take such a request.")


def _bad_request(_error: Any) -> Any:
    return _plain("The request cannot be read.")


def _plain(message: str) -> str:
    """What Bottle itself refuses: JSON for programs, a sentence for people."""
    if request.path.startswith("/api/"):
        bottle.response.content_type = "application/json"
        return json.dumps({"error": True, "message": message})
    bottle.response.content_type = "text/plain; charset=UTF-8"
    return message + "\n"
