"""All routes on one Bottle app, and what happens when one of them fails."""

import json
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import bottle
import redis
from bottle import HTTPResponse, request

from knossosd import logs
from knossosd.keyring import Keyring
from knossosd.settings import Settings
from knossosd.tickets.chunked import ChunkedUploads
from knossosd.tickets.connection import connect_once
from knossosd.tickets.quota import UploadQuota
from knossosd.tickets.refusals import Refusals
from knossosd.tickets.statistics import Statistics
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake
from knossosd.web import (
    api,
    chunked,
    drop,
    live,
    metrics,
    mirror,
    monitor,
    openapi,
    ops,
    pages,
    previews,
    screen,
    statistics,
)
from knossosd.web.answers import refused
from knossosd.web.bodies import BodyLimit, is_large
from knossosd.web.disk import Disk
from knossosd.web.feed import Feed
from knossosd.web.lookup import Lookup
from knossosd.web.statistics import Day
from knossosd.web.throttle import Throttle

log = logging.getLogger(__name__)

REFUSALS = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take such a request.",
    416: "The file has no such part.",
}

RETRY_AFTER = 5
"""Seconds after which a client may ask again when Redis is away."""

Callback = Callable[..., Any]


def make_app(settings: Settings, tickets: Tickets, wake: Wake, feed: Feed) -> bottle.Bottle:
    """The app. `wake` is for what workers have to do; `feed` shows events to watchers."""
    app = bottle.Bottle()
    app.install(_Border())
    app.install(Throttle(Refusals(tickets.client, settings.wrong_keys)))
    app.install(BodyLimit())
    app.add_hook("before_request", lambda: logs.ticket.set(None))  # a connection may bring several requests
    keyring, lookup, disk = Keyring.from_settings(settings), Lookup(tickets), Disk(settings)
    quota = UploadQuota(tickets.client, settings.upload_quota)
    numbers = Statistics(connect_once(settings, "statistics"))
    day = Day(numbers)
    api.install(app, settings, keyring, tickets, lookup, wake, disk)
    monitor.install(app, settings, keyring, tickets, wake)
    screen.install(app, settings, keyring, day, disk)
    drop.install(app, settings, keyring, disk, quota)
    chunked.install(app, settings, keyring, ChunkedUploads(tickets.client, settings), wake, disk, quota)
    previews.install(app, settings, keyring, wake)
    live.install(app, settings, lookup, feed)
    mirror.install(app, settings)
    openapi.install(app, settings)
    ops.install(app, settings, disk)
    metrics.install(app, settings, keyring, numbers, disk)
    statistics.install(app, settings, keyring, numbers, day, disk)
    refusal_page = pages.install(app, settings)
    app.default_error_handler = partial(_refuse, refusal_page)
    return app


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


def _refuse(page: Callable[[int, str], HTTPResponse], error: bottle.HTTPError) -> str | HTTPResponse:
    """What Bottle itself refuses: JSON for programs, a `page` for browsers, a sentence for all others. Its own page
    would repeat the request."""
    if is_large(request.environ):
        bottle.response.set_header("Connection", "close")
    message = REFUSALS.get(error.status_code, "The request cannot be answered.")
    if request.path.startswith("/api/"):
        bottle.response.content_type = "application/json"
        return json.dumps({"error": True, "message": message})
    if "text/html" in request.get_header("Accept", ""):
        return page(error.status_code, message)
    bottle.response.content_type = "text/plain; charset=UTF-8"
    return message + "\n"
