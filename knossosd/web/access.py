"""Who may do what: API keys, compared in constant time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any


def is_key(candidate: str | None, keys: Sequence[str]) -> bool:
    """Whether `candidate` is one of the `keys`. Every key is looked at, whichever matches."""
    if not candidate:
        return False
    matches = [hmac.compare_digest(candidate.encode(), key.encode()) for key in keys if key]
    return any(matches)


def owner_of(key: str) -> str:
    """A name for whoever has the key, which does not give the key away."""
    return hashlib.sha256(f"knossosd owner {key}".encode()).hexdigest()[:16]


def offered_key(environ: Mapping[str, Any]) -> str | None:
    """The key in the request's `Authorization`: `Bearer <key>`, or HTTP Basic with the key as the password."""
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
