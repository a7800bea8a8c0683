"""The HTTP API as an OpenAPI 3.1 document, published at `/openapi.json`.

What each route takes, and every answer that it may give, stands here as data. Tests fail when a route is missing or
does not exist, and hold the answers of a running server against what is said.

conversions.py  submitting, retrieving and watching
files.py        uploads, what they hold, and the mirror
chunked.py      uploads in parts
operators.py    the monitor, numbers, and whether the server is well
pages.py        pages, and facts for programs
writing.py      how operations and answers are written;  shapes.py  the shapes of bodies
"""

import json

import bottle

from knossosd import __version__
from knossosd.keyring import Scope
from knossosd.settings import Settings
from knossosd.web.openapi.chunked import CHUNKED
from knossosd.web.openapi.conversions import CONVERSIONS, SOCKETS
from knossosd.web.openapi.files import PREVIEWS, UPLOADS, mirror
from knossosd.web.openapi.operators import HEALTH, monitor
from knossosd.web.openapi.pages import FACTS, PAGES
from knossosd.web.openapi.shapes import shapes
from knossosd.web.openapi.writing import ANSWERS, JSON, KEY_SCHEMES, TOKEN_SCHEMES, Part

DESCRIPTION = (
    f"Keys are good for some of: {', '.join(Scope)}. Faults are data, with a code and a hint. "
    "Whatever the address, a head of a request that makes no sense (400), is too slow (408) or too long (431), and one "
    "connection too many (429), are answered without a body, and the connection is closed."
)


def install(app: bottle.Bottle, settings: Settings) -> None:
    """Add the route."""
    written = json.dumps(describe(settings), indent=2)

    def openapi() -> str:
        bottle.response.content_type = JSON
        return written

    app.get("/openapi.json", callback=openapi)


def describe(settings: Settings) -> Part:
    """The OpenAPI document of a server with these settings."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "knossosd",
            "summary": "Turns FreeSpace Open repo documents into generated repo documents.",
            "description": DESCRIPTION,
            "version": __version__,
        },
        "servers": [{"url": "/"}],
        "paths": {
            **CONVERSIONS,
            **SOCKETS,
            **UPLOADS,
            **CHUNKED,
            **PREVIEWS,
            **mirror(settings),
            **monitor(settings),
            **HEALTH,
            **FACTS,
            **PAGES,
        },
        "components": {
            "securitySchemes": {**KEY_SCHEMES, **TOKEN_SCHEMES},
            "responses": ANSWERS,
            "schemas": shapes(),
        },
    }
