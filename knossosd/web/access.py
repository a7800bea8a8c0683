"""The API key that a request brings, and whether it comes from a page of ours."""

import base64
from collections.abc import Mapping
from typing import Any

from knossosd.keyring import Key, Keyring, Scope

OWN_SITES = ("same-origin", "none")
"""What browsers call requests of our own pages, and of people who type an address."""


def key_of(environ: Mapping[str, Any], keyring: Keyring, scope: Scope) -> Key | None:
    """The key in the request's `Authorization`, when it is good for `scope`."""
    return keyring.find(offered_key(environ), scope)


def offered_key(environ: Mapping[str, Any]) -> str | None:
    """What stands in the request's `Authorization`: `Bearer <key>`, or HTTP Basic with the key as the password."""
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except ValueError:  # it is no Base64, or no text
            return None
    return None


def is_foreign(environ: Mapping[str, Any]) -> bool:
    """Whether a page of another site made a browser send the request.

    A key in `Bearer` no other site can send, but the password of HTTP Basic, once typed, browsers send along whoever
    makes them. They say who that was: newer ones in words that no page can change, all of them in `Origin`.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in OWN_SITES
    origin = environ.get("HTTP_ORIGIN")
    host = str(environ.get("HTTP_HOST", ""))
    return origin is not None and str(origin).partition("://")[2].lower() != host.lower()
