"""Hosts that have too much to do, and when they want to be asked again."""

import time

from knossosd.conversion.http import Response
from knossosd.conversion.known import date_of
from knossosd.faults import Code, RemoteFault

BUSY = (429, 503)
"""Statuses with which a host may say when to come again."""


class Busy(RemoteFault):
    """The host asks to come back `after` so many seconds."""

    def __init__(self, code: Code, message: str, hint: str = "", *, after: float) -> None:
        super().__init__(code, message, hint)
        self.after = after


def asked_pause(response: Response, most: float) -> float:
    """Seconds that the host asks us to wait, `most` of them at most; it says them as such or as the date when they are
    over."""
    after = response.headers.get("Retry-After", "")
    try:
        seconds = float(after) if after.isdecimal() else date_of(after).timestamp() - time.time()
    except (ValueError, OverflowError):  # it is neither
        return 0.0
    return min(max(seconds, 0.0), most)
