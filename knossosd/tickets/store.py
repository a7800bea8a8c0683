"""Making, finding and removing tickets: the side of those who submit and ask."""

import hashlib
import json
import secrets
import string
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast

import redis
from redis.client import Pipeline

from knossosd.settings import HOUR, Settings
from knossosd.tickets import history, keys, scripts
from knossosd.tickets.changes import Change
from knossosd.tickets.connection import now_in_redis
from knossosd.tickets.outbox import log_entry
from knossosd.tickets.record import State, Ticket

TICKET_LIMIT = 2**53
"""Old clients format ticket numbers with %d and JavaScript holds them in a double."""

TOKEN_LENGTH = 30
TOKEN_LETTERS = string.ascii_letters + string.digits

GRACE = HOUR
"""Seconds that an unfinished ticket outlives its lifetime: enough for upkeep to end it properly, once it looks."""

SOON = 30
"""Seconds after which a submitter may try again when nobody knows better."""

MOMENT = 60
"""Seconds in which whoever watches a ticket reads its last events."""

UNLIMITED = 2**53

WITHDRAWN = "The ticket is converted once more."
"""What the log of a delivery says that was not made before."""


class Receipt(NamedTuple):
    """What the submitter gets: the number to watch with, and the token to retrieve the result with."""

    ticket: int
    token: str


class Standing(NamedTuple):
    """A ticket, and its place in the queue: 1 is the next, None when it does not wait."""

    ticket: Ticket
    position: int | None


class NotTaken(Exception):
    """No ticket is made just now; the message says why. `after` so many seconds it may be tried again."""

    def __init__(self, message: str, after: int = SOON) -> None:
        super().__init__(message)
        self.after = after


class QueueFull(NotTaken):
    """The server has enough to do, or cannot do more."""


class QuotaReached(NotTaken):
    """The submitter has had enough."""


class KeyReused(NotTaken):
    """The idempotency key stands for another submission."""


class Tickets:
    """All tickets of one Redis. `now` is the clock, epoch seconds: that of Redis, which all hosts share, unless another
    one is given."""

    def __init__(self, client: redis.Redis, settings: Settings, now: Callable[[], float] | None = None) -> None:
        self.client = client
        self.settings = settings
        self.now = now or (lambda: now_in_redis(client))

    def create(
        self,
        document: str,
        *,
        title: str,
        webhook: str | None = None,
        use_cache: bool = True,
        owner: str = "",
        idempotency_key: str | None = None,
        obstacle: str | None = None,
    ) -> Receipt:
        """Record a new ticket that waits for a worker; the caller then wakes one.

        `document` is the text of a repo document that was found valid. Without `use_cache`, all that it names is
        fetched and read anew. `owner` is who submits, and held to quotas when it is known. What the owner submits with
        an `idempotency_key` again, however the JSON is written, gives the same receipt again, also when there is an
        `obstacle` to new ones. Raises a kind of `NotTaken`.
        """
        receipt = Receipt(
            secrets.randbelow(TICKET_LIMIT), "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))
        )
        now, settings = self.now(), self.settings
        record = {
            "state": State.WAITING.value,
            "time": now,
            "created": now,
            "title": title,
            "token": receipt.token,
            "webhook": webhook or "",
            "use_cache": int(use_cache),
            "owner": owner,
        }
        names = [
            keys.record(receipt.ticket),
            keys.document(receipt.ticket),
            keys.TICKETS,
            keys.QUEUE,
            keys.idempotency(owner, idempotency_key) if idempotency_key else "",
            keys.hour(owner) if owner else "",
            keys.open_tickets(owner) if owner else "",
            keys.TOTALS,
            keys.slot(now),
        ]
        arguments: list[Any] = [
            receipt.ticket,
            now,
            settings.task_lifetime,
            settings.task_lifetime + max(settings.result_lifetime, settings.dead_lifetime) + GRACE,
            document,
            0 if obstacle else settings.max_queue,
            settings.tickets_per_hour or UNLIMITED,
            settings.tickets_at_once or UNLIMITED,
            _fingerprint(document, webhook, use_cache) if idempotency_key else "",
            receipt.token,
            *(part for pair in record.items() for part in pair),
        ]
        outcome, *details = cast(list[str], self.client.eval(scripts.CREATE, len(names), *names, *arguments))
        match outcome:
            case "created":
                return receipt
            case "same":
                return Receipt(int(details[0]), details[1])
            case _:
                raise self._refusal(outcome, details, now, obstacle)

    def _refusal(self, outcome: str, details: Sequence[str], now: float, obstacle: str | None) -> NotTaken:
        """Why the script made no ticket."""
        match outcome:
            case "other":
                return KeyReused("This Idempotency-Key was used for another submission.")
            case "full":
                return QueueFull(obstacle or "The queue is full. Please try again later.")
            case "hour":
                after = float(details[0]) + HOUR - now
                limit = self.settings.tickets_per_hour
                return QuotaReached(f"More than {limit} conversions in an hour.", int(after) + 1)
            case _:
                return QuotaReached(f"More than {self.settings.tickets_at_once} conversions at once.")

    def has(self, ticket: int) -> bool:
        """Whether there is such a ticket, be it one that only another version understands."""
        return bool(self.client.exists(keys.record(ticket)))

    def get(self, ticket: int) -> Ticket | None:
        """The ticket, or None when there is none (any more). A record that cannot be read is none."""
        fields = cast(dict[str, str], self.client.hgetall(keys.record(ticket)))
        return Ticket.from_hash(ticket, fields) if fields else None

    def all(self) -> list[Ticket]:
        """Every ticket, oldest first."""
        return sorted(self._listed(keys.TICKETS), key=lambda ticket: ticket.created)

    def dead(self) -> list[Ticket]:
        """The tickets that failed through no fault of the mod's, the longest dead first. They may be retried."""
        return self._listed(keys.DEAD)

    def next(self, most: int) -> list[Ticket]:
        """The first tickets of the queue, `most` of them at most."""
        return self._listed(keys.QUEUE, most)

    def running(self, most: int) -> list[Ticket]:
        """The tickets that workers hold, those they have held for longest first, `most` of them at most."""
        return self._listed(keys.WORKING, most)

    def _listed(self, index: str, most: int = 0) -> list[Ticket]:
        """The tickets of an index, in its order: the first `most`, or all."""
        numbers = [int(number) for number in cast(list[str], self.client.zrange(index, 0, most - 1))]
        with self.client.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.hgetall(keys.record(number))
            records = pipe.execute()
        found = (Ticket.from_hash(number, fields) for number, fields in zip(numbers, records, strict=True) if fields)
        return [ticket for ticket in found if ticket]

    def standings(self, numbers: Collection[int]) -> dict[int, Standing]:
        """How each of the tickets stands, all found in one trip; those that there are not (any more) are left out."""
        records = [keys.record(number) for number in numbers]
        # One text for each ticket is read much quicker than a reply of many parts.
        found: Any = self.client.eval(scripts.STANDINGS, 1 + len(records), keys.QUEUE, *records, *numbers)
        return {
            number: standing
            for number, text in zip(numbers, found, strict=True)
            if (standing := _standing(number, *json.loads(text)))
        }

    def document(self, ticket: int) -> str | None:
        """The repo document that was submitted; None when the conversion has ended and is not dead."""
        return cast(str | None, self.client.get(keys.document(ticket)))

    def documents(self) -> Iterator[str]:
        """The documents that are still to be converted, or may be once more, one after the other."""
        for number in cast(list[str], self.client.zrange(keys.TICKETS, 0, -1)):
            if (document := self.document(int(number))) is not None:
                yield document

    def result(self, ticket: int) -> str | None:
        """The generated document as JSON text; None when there is none."""
        return cast(str | None, self.client.get(keys.result(ticket)))

    def working(self) -> int:
        """How many tickets a worker holds now."""
        return self.client.zcard(keys.WORKING)

    def retry(self, ticket: Ticket) -> bool:
        """Let a ticket that is dead wait once more; the caller then wakes a worker. False when it is not dead.

        A webhook that still waits to be delivered is given up: there will be another end.
        """
        number = ticket.number
        names = [
            *(name(number) for name in (keys.record, keys.document, keys.events, keys.now, keys.result)),
            keys.TICKETS,
            keys.QUEUE,
            keys.DEAD,
            keys.open_tickets(ticket.owner) if ticket.owner else "",
            keys.OUTBOX,
            keys.OUTCOMES,
            keys.FAILED,
        ]
        now, lifetime = self.now(), self.settings.task_lifetime
        withdrawn = log_entry(now, WITHDRAWN)
        this_time = secrets.token_hex(8)
        arguments: list[Any] = [number, now, lifetime + GRACE, now + lifetime, keys.delivery(""), withdrawn, this_time]
        return bool(self.client.eval(scripts.RETRY, len(names), *names, *arguments))

    def forget(self, number: int, ending: str | None = None) -> None:
        """Forget a ticket, whatever there still is of it, or only if that is its `ending`. Its events are kept for a
        moment, for those who watch."""
        record, events = keys.record(number), keys.events(number)

        def forget_this(pipe: Pipeline) -> None:
            fields = cast(dict[str, str], pipe.hgetall(record))
            found = Ticket.from_hash(number, fields) if fields else None
            pipe.multi()
            if ending is not None and (found is None or found.ending != ending):
                return
            pipe.delete(*(key for key in keys.all_of(number) if key != events))
            pipe.expire(events, MOMENT)
            for index in (keys.TICKETS, keys.QUEUE, keys.WORKING, keys.DEAD):
                pipe.zrem(index, str(number))
            if found and found.owner:
                pipe.zrem(keys.open_tickets(found.owner), str(number))
            if found and found.ending:
                pipe.zrem(keys.OUTBOX, found.ending)
                pipe.zrem(keys.DELIVERIES, found.ending)
                pipe.delete(keys.delivery(found.ending))
            history.forget(pipe, number)
            for change in (Change.TICKETS, Change.DELIVERIES):
                pipe.publish(keys.CHANGES, change.value)

        self.client.transaction(forget_this, record)  # which begins anew when the ticket changes meanwhile


def _fingerprint(document: str, webhook: str | None, use_cache: bool) -> str:
    """The same for the same submission, whether it came in a form or as JSON."""
    submission = json.dumps([json.loads(document), webhook, use_cache], sort_keys=True)
    return hashlib.sha256(submission.encode()).hexdigest()


def _standing(number: int, fields: Sequence[str], rank: int | Literal[False]) -> Standing | None:
    """The standing that the script found: names and values of the record in turns, and how many are before it."""
    if not fields:
        return None
    ticket = Ticket.from_hash(number, dict(zip(fields[::2], fields[1::2], strict=True)))
    return Standing(ticket, None if rank is False else rank + 1) if ticket else None
