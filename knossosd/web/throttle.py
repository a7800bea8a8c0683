"""Slowing down who guesses keys and tokens.

Whoever shows something secret (a key, a token, the permission to upload) and is refused for it too often is not
listened to for a while, whichever door he tries and whatever he shows: a right key opens as little then as a wrong one,
or the answer would tell them apart. It stands around all routes, so that no door can forget it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import bottle
from bottle import HTTPResponse, request

from knossosd.tickets.refusals import Refusals
from knossosd.web.answers import NoGuess, refused
from knossosd.web.clients import household

DENIED = (401, 403)

Callback = Callable[..., Any]


class Throttle:
    """The Bottle plugin."""

    name = "throttle"
    api = 2

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def apply(self, callback: Callback, _route: bottle.Route) -> Callback:
        def slowed(*args: Any, **kwargs: Any) -> Any:
            environ = request.environ
            if not _shows_secret(environ):
                return callback(*args, **kwargs)
            address = household(environ["REMOTE_ADDR"])
            if wait := math.ceil(self._refusals.wait(address)):
                message = f"Too many requests from your address were refused. Try again in {wait} seconds."
                return refused(429, message, Retry_After=str(wait), Connection="close")
            answer = callback(*args, **kwargs)
            if isinstance(answer, HTTPResponse) and _denies_secret(answer):
                self._refusals.note(address)
            return answer

        return slowed


def _denies_secret(answer: HTTPResponse) -> bool:
    return answer.status_code in DENIED and not isinstance(answer, NoGuess)


def _shows_secret(environ: Mapping[str, Any]) -> bool:
    """Whether the request brings something that may be refused: in its body, or in the header for it.

    Browsers send a password that they remember with the handshake of a WebSocket, too. Nobody looks at it there.
    """
    if environ.get("wsgi.websocket") is not None:
        return False
    return environ["REQUEST_METHOD"] == "POST" or "HTTP_AUTHORIZATION" in environ
