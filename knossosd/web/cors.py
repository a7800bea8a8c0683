"""What pages of other sites may ask of this server from a browser (CORS)."""

import bottle
from bottle import HTTPResponse, request


def let_all_sites_ask(app: bottle.Bottle, path: str, methods: str, headers: str) -> None:
    """Let the pages of all sites use the `methods` below `path`, and send the `headers`.

    Every answer says so, those to failures too: without it, a page would not get to see what went wrong.
    """
    allowed = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Max-Age": "86400",
    }

    def say_so() -> None:
        if request.path.startswith(path):
            bottle.response.headers.update(allowed)
            if request.method == "OPTIONS":
                bottle.response.set_header("Access-Control-Allow-Headers", headers)

    app.add_hook("after_request", say_so)


def answer_preflight(**_: object) -> HTTPResponse:
    """What a browser gets that asks before it sends a request."""
    return HTTPResponse("", 200)
