"""Telling the site that submitted a conversion that it has ended: one attempt.

The body is what the original server sent, `ticket=<number>`; everything else stands in headers. The signature is made
with the ticket's token, the one secret that the submitter and this server share.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from urllib3.exceptions import HTTPError

from knossosd.conversion.busy import BUSY, Busy, asked_pause
from knossosd.conversion.http import Response, WebClient
from knossosd.faults import Code, InputFault, RemoteFault
from knossosd.tickets.outbox import LONGEST_PAUSE, Delivery

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read: the only answer that means anything is a few bytes long."""

PIECE = 4096

GONE = 410
"""The status with which a site says that it will never take it."""


class Answer(Enum):
    """What the site said to a delivery that it took."""

    NOTED = "taken"
    CANCELLED = "taken, and the ticket cancelled"


def deliver(client: WebClient, delivery: Delivery, now: Callable[[], float] = time.time) -> Answer:
    """Make one attempt. Raises `RemoteFault` when the site does not take it, a `Busy` one when it may say when to come
    again, and `InputFault` when it never will, or may not be asked."""
    body = f"ticket={delivery.ticket}".encode()
    headers = _headers(delivery, str(int(now())), body)
    with client.request("POST", delivery.url, headers=headers, body=body) as response:
        _expect_success(response)
        return _understood(_read(response))


def sign(token: str, timestamp: str, body: bytes) -> str:
    """The signature: hex HMAC-SHA256, keyed with the ticket's token, over timestamp, a dot and the body."""
    return hmac.new(token.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _headers(delivery: Delivery, timestamp: str, body: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Knossos-Delivery": delivery.id,
        "X-Knossos-Timestamp": timestamp,
        "X-Knossos-Signature": sign(delivery.token, timestamp, body),
    }


def _expect_success(response: Response) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    message = f"The webhook answered with status {status}."
    if status == GONE:
        raise InputFault(Code.WEBHOOK_FAILED, message)
    if status in BUSY:
        raise Busy(Code.WEBHOOK_FAILED, message, after=asked_pause(response, LONGEST_PAUSE))
    raise RemoteFault(Code.WEBHOOK_FAILED, message)


def _read(response: Response) -> bytes:
    """The answer, as far as it comes in time and may matter. The site has taken the delivery, whatever it says now."""
    answer = b""
    with suppress(HTTPError, OSError):
        while len(answer) < MAX_ANSWER and (piece := response.read1(PIECE)):
            answer += piece
    return answer


def _understood(answer: bytes) -> Answer:
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return Answer.NOTED
    cancelled = isinstance(parsed, dict) and parsed.get("cancelled") is True
    return Answer.CANCELLED if cancelled else Answer.NOTED
