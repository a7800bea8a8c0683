"""The API key that a request brings."""

import base64
from collections.abc import Mapping
from typing import Any

from knossosd.keyring import Key, Keyring, Scope


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
