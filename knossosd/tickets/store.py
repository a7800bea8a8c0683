"""Making, finding and removing tickets: the side of those who submit and ask."""

import json
import secrets
import string
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, NamedTuple, cast

import redis

from knossosd.settings import Settings
from knossosd.tickets import keys, scripts
from knossosd.tickets.record import State, Ticket

TICKET_LIMIT = 2**53
"""Old clients format ticket numbers with %d and JavaScript holds them in a double."""

TOKEN_LENGTH = 30
TOKEN_LETTERS = string.ascii_letters + string.digits


class Receipt(NamedTuple):
    """What the submitter gets: the number to watch with, and the token to retrieve the result with."""

    ticket: int
    token: str


class Standing(NamedTuple):
    """A ticket, and its place in the queue: 1 is the next, None when it does not wait."""

    ticket: Ticket
    position: int | None


class Tickets:
    """All tickets of one Redis. `now` is the clock, epoch seconds."""

    def __init__(self, client: redis.Redis, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self.client = client
        self.settings = settings
        self.now = now

    def create(self, document: str, *, title: str, webhook: str | None = None, use_cache: bool = True) -> Receipt:
        """Record a new ticket that waits for a worker; the caller then wakes one.

        `document` is the text of a repo document that was found valid. Without `use_cache`, all that it names is
        fetched and read anew.
        """
        receipt = Receipt(
            secrets.randbelow(TICKET_LIMIT), "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))
        )
        now = self.now()
        record: dict[Any, Any] = {
            "state": State.WAITING.value,
            "time": now,
            "created": now,
            "title": title,
            "token": receipt.token,
            "webhook": webhook or "",
            "use_cache": int(use_cache),
        }
        lifetime = self.settings.task_lifetime
        with self.client.pipeline() as pipe:
            pipe.hset(keys.record(receipt.ticket), mapping=record)
            pipe.expire(keys.record(receipt.ticket), lifetime)
            pipe.set(keys.document(receipt.ticket), document, ex=lifetime)
            for index in (keys.TICKETS, keys.QUEUE):
                pipe.zadd(index, {str(receipt.ticket): now})
                pipe.zremrangebyscore(index, "-inf", now - lifetime - self.settings.result_lifetime)
                pipe.expire(index, lifetime + self.settings.result_lifetime)
            pipe.execute()
        return receipt

    def get(self, ticket: int) -> Ticket | None:
        """The ticket, or None when there is none (any more)."""
        fields = cast(dict[str, str], self.client.hgetall(keys.record(ticket)))
        return Ticket.from_hash(ticket, fields) if fields else None

    def all(self) -> list[Ticket]:
        """Every ticket, oldest first."""
        numbers = [int(number) for number in cast(list[str], self.client.zrange(keys.TICKETS, 0, -1))]
        with self.client.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.hgetall(keys.record(number))
            records = pipe.execute()
        return [Ticket.from_hash(number, fields) for number, fields in zip(numbers, records, strict=True) if fields]

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
        """The repo document that was submitted; None when the conversion has ended."""
        return cast(str | None, self.client.get(keys.document(ticket)))

    def result(self, ticket: int) -> str | None:
        """The generated document as JSON text; None when there is none."""
        return cast(str | None, self.client.get(keys.result(ticket)))

    def working(self) -> int:
        """How many tickets a worker holds now."""
        return self.client.zcard(keys.WORKING)

    def remove(self, ticket: int) -> None:
        """Forget the ticket and everything about it; a worker that holds it stops."""
        with self.client.pipeline() as pipe:
            pipe.delete(*keys.all_of(ticket))
            for index in (keys.TICKETS, keys.QUEUE, keys.WORKING):
                pipe.zrem(index, str(ticket))
            pipe.execute()


def _standing(number: int, fields: Sequence[str], rank: int | Literal[False]) -> Standing | None:
    """The standing that the script found: names and values of the record in turns, and how many are before it."""
    if not fields:
        return None
    record = dict(zip(fields[::2], fields[1::2], strict=True))
    return Standing(Ticket.from_hash(number, record), None if rank is False else rank + 1)
