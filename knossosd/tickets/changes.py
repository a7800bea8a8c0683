"""Telling operators' pages that something has changed. What it is now, they read for themselves.

How far a conversion is changes all the time, and has a channel of its own: that of the ticket's events.
"""

from enum import StrEnum

from knossosd.tickets import keys


class Change(StrEnum):
    """What has changed: which tickets there are, or how one of them is; a webhook's delivery; a process."""

    TICKETS = "tickets"
    DELIVERIES = "deliveries"
    PROCESSES = "processes"


def told(change: Change) -> str:
    """The line of a script that tells it."""
    return f"redis.call('PUBLISH', '{keys.CHANGES}', '{change.value}')"
