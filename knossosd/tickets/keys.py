"""How the keys in Redis are named.

Ticket numbers are drawn from below 2**53, because JavaScript holds them in a double.
"""

import hashlib
import re

TICKETS = "knossosd:tickets"
"""Sorted set of all tickets by when they end at the latest or, once they have ended, are forgotten."""

QUEUE = "knossosd:queue"
"""Sorted set of the tickets that wait for a worker, by the time of their creation."""

WORKING = "knossosd:working"
"""Sorted set of the tickets that a worker holds, by the time of the claim."""

DEAD = "knossosd:dead"
"""Sorted set of the tickets that failed through no fault of the mod's, by the time of their end."""

OUTBOX = "knossosd:outbox"
"""Sorted set of the webhook deliveries that are still to be made, by when they are due."""

DELIVERIES = "knossosd:deliveries"
"""Sorted set of all webhook deliveries by the time of their creation."""

NEWS = "knossosd:news"
"""Channel on which the key of a ticket's stream is told when something was added to it."""

FINISHING = "knossosd:finishing"
"""Sorted set of the uploads in parts that are being finished, by the time of the wish."""

CHANGES = "knossosd:changes"
"""Channel on which it is told what operators see otherwise than before: one of `changes.Change`."""

OUTCOMES = "knossosd:outcomes"
"""Hash: what is remembered of the tickets in the two sets below, by their numbers."""

SUCCEEDED = "knossosd:outcomes:succeeded"
"""Sorted set of the latest tickets that succeeded, by the time of their end. They may be gone by now."""

FAILED = "knossosd:outcomes:failed"
"""Sorted set of the latest tickets that did not."""

PROCESSES = "knossosd:processes"
"""Set of the names of the processes that live."""

TOTALS = "knossosd:totals"
"""Hash: everything that was ever measured, by the fields of `measures`."""

STORE = "knossosd:store"
"""Hash: how large the content store was when it was last looked at."""

SLOT = 300
"""Seconds whose measures stand together."""

PROBE = "knossosd:probe"
"""String with a short lifetime: whether anything can be written."""

REFUSALS = "knossosd:refusals"
"""Sorted set of the addresses that were refused lately, by when that is forgiven."""


def record(ticket: int) -> str:
    """Hash: the ticket record."""
    return f"knossosd:ticket:{ticket}"


def document(ticket: int) -> str:
    """String: the repo document as it was submitted; gone when the conversion has ended, unless it is dead."""
    return f"knossosd:ticket:{ticket}:document"


def result(ticket: int) -> str:
    """String: the generated document."""
    return f"knossosd:ticket:{ticket}:result"


def events(ticket: int) -> str:
    """Stream: the events that every watcher sees, late or not."""
    return f"knossosd:ticket:{ticket}:events"


def now(ticket: int) -> str:
    """Stream of one entry: how far the conversion is now."""
    return f"knossosd:ticket:{ticket}:now"


def lease(ticket: int) -> str:
    """String with a short lifetime: the execution that works on the ticket, as long as its worker lives."""
    return f"knossosd:ticket:{ticket}:lease"


def answers(ticket: int) -> str:
    """List: what a watcher typed for the captcha that waits."""
    return f"knossosd:ticket:{ticket}:answers"


def hour(owner: str) -> str:
    """Sorted set of the tickets that an owner submitted within an hour, by time."""
    return f"knossosd:owner:{owner}:hour"


def open_tickets(owner: str) -> str:
    """Sorted set of the tickets of an owner that have not ended, by when they end at the latest."""
    return f"knossosd:owner:{owner}:open"


def uploaded(owner: str) -> str:
    """Hash: what an owner uploaded within a day, each upload's size and time by its id."""
    return f"knossosd:owner:{owner}:uploaded"


def chunked(upload: str) -> str:
    """Hash: the record of an upload in parts."""
    return f"knossosd:upload:{upload}"


def parts(upload: str) -> str:
    """Hash: the sha256 of each part that came, by its number."""
    return f"knossosd:upload:{upload}:parts"


def announced(owner: str, filename: str, size: int, sha256: str) -> str:
    """String: the upload in parts of a file that an owner announced."""
    return f"knossosd:announced:{_hashed(f'{owner} {filename} {size} {sha256}')}"


def idempotency(owner: str, key: str) -> str:
    """Hash: the ticket that an owner's `Idempotency-Key` made, and the fingerprint of what was submitted with it."""
    return f"knossosd:idempotency:{_hashed(f'{owner} {key}')}"


def delivery(delivery_id: str) -> str:
    """Hash: one webhook delivery."""
    return f"knossosd:delivery:{delivery_id}"


def shared_lease(name: str) -> str:
    """String with a short lifetime: the owner of something that only one may hold at a time."""
    return f"knossosd:lease:{_hashed(name)}"


def slot(now: float) -> str:
    """Hash: what was measured in the `SLOT` of this time."""
    return f"knossosd:statistics:{int(now // SLOT) * SLOT}"


def turn(what: str) -> str:
    """String with a lifetime: who does something that recurs, in this period."""
    return f"knossosd:turn:{what}"


def recorded(execution: str) -> str:
    """String: the sign that what an execution measured is recorded."""
    return f"knossosd:recorded:{execution}"


def process(name: str) -> str:
    """String with a short lifetime: the sign of life of a process."""
    return f"knossosd:process:{name}"


def all_of(ticket: int) -> list[str]:
    """Every key of one ticket, its record first."""
    return [name(ticket) for name in (record, document, result, events, now, lease, answers)]


def streams(ticket: int) -> list[str]:
    """Everything that watchers of the ticket see."""
    return [events(ticket), now(ticket)]


def is_now(key: str) -> bool:
    """Whether the key is that of a stream which says how far a conversion is."""
    return key.endswith(":now")


def ticket_of(key: str) -> int | None:
    """The ticket that a key belongs to, None when it is no key of ours."""
    found = re.match(r"knossosd:ticket:(\d+):", key)
    return int(found[1]) if found else None


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
