"""The bodies of requests: what is too large is refused before it is read, on every route, and the connection closed.

A route that takes large bodies says so (`reads_body=True`) and has limits of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bottle
from bottle import request

from knossosd.settings import KIB
from knossosd.web.answers import refused

SMALL = 64 * 1024
"""Bytes of a body that any route lets pass, whether it wants one or not."""

PIECE = 256 * KIB


class CutOff(Exception):
    """The client left before the whole body came."""


class BodyLimit:
    """The Bottle plugin that refuses large bodies on routes that take none."""

    name = "body limit"
    api = 2

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        if route.config.get("reads_body"):
            return callback

        def limited(*args: Any, **kwargs: Any) -> Any:
            if is_large(request.environ):
                return refused(413, f"No more than {SMALL} bytes are taken here.", Connection="close")
            return callback(*args, **kwargs)

        return limited


def is_large(environ: Mapping[str, Any]) -> bool:
    """Whether the request announces a body of more than `SMALL` bytes."""
    length = announced_length(environ)
    return length is not None and length > SMALL


def announced_length(environ: Mapping[str, Any]) -> int | None:
    """The length of the body in bytes, if the request says it."""
    length: str = environ.get("CONTENT_LENGTH", "")
    return int(length) if length.isdecimal() else None  # gevent refuses those that are no numbers, or too long


def pieces(environ: Mapping[str, Any], length: int) -> Iterator[bytes]:
    """The body of `length` bytes, `PIECE` bytes at a time. Raises `CutOff`."""
    body, missing = environ["wsgi.input"], length
    while missing:
        try:
            piece: bytes = body.read(min(PIECE, missing))
        except OSError as error:  # what pywsgi raises when the client leaves
            raise CutOff from error
        if not piece:
            raise CutOff
        missing -= len(piece)
        yield piece
