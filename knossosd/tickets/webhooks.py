"""Telling the site that submitted a conversion that it has ended.

The body is what the original server sent, `ticket=<number>`; everything else stands in headers. The signature is made
with the ticket's token, the one secret that the submitter and this server share.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from enum import Enum, auto

from knossosd.conversion.http import WebClient
from knossosd.faults import Code, RemoteFault

RETRIES = 8
RETRY_DELAY = 15
"""Seconds before the first retry; each later one waits twice as long, so that the last comes after about an hour."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read: the only answer that means anything is a few bytes long."""


class Answer(Enum):
    """What the site said to a delivery that it took."""

    NOTED = auto()
    CANCELLED = auto()


def deliver(client: WebClient, ticket: int, url: str, token: str, now: Callable[[], float] = time.time) -> Answer:
    """Deliver once. Raises `RemoteFault` when the site does not take it, `InputFault` when it may not be asked."""
    body = f"ticket={ticket}".encode()
    timestamp = str(int(now()))
    with client.request("POST", url, headers=_headers(ticket, token, timestamp, body), body=body) as response:
        if not 200 <= response.status < 300:
            raise RemoteFault(Code.WEBHOOK_FAILED, f"The webhook answered with status {response.status}.")
        return _understood(response.read(MAX_ANSWER))


def sign(token: str, timestamp: str, body: bytes) -> str:
    """The signature: hex HMAC-SHA256, keyed with the ticket's token, over timestamp, a dot and the body."""
    return hmac.new(token.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _headers(ticket: int, token: str, timestamp: str, body: bytes) -> dict[str, str]:
    delivery = hashlib.sha256(f"{ticket}:{token}".encode()).hexdigest()[:32]
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Knossos-Delivery": delivery,
        "X-Knossos-Timestamp": timestamp,
        "X-Knossos-Signature": sign(token, timestamp, body),
    }


def _understood(answer: bytes) -> Answer:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return Answer.NOTED
    cancelled = isinstance(parsed, dict) and parsed.get("cancelled") is True
    return Answer.CANCELLED if cancelled else Answer.NOTED
