"""Whether what a verb needs can be reached, and takes what the verb has for it: asked once and quickly."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from knossosd import tasks
from knossosd.cli.exits import Exit, Stop
from knossosd.tickets.connection import connect_once, greet, reason, refusal_of_writes


def insist_on_redis() -> None:
    """End the verb with one sentence when Redis does not answer."""
    with _telling_of_redis():
        greet(connect_once(tasks.settings, "command"))


def insist_on_writes() -> None:
    """End the verb with one sentence when Redis does not answer, or takes nothing in."""
    with _telling_of_redis():
        if refusal := refusal_of_writes(connect_once(tasks.settings, "command")):
            raise Stop(Exit.UNREACHABLE, f"Redis takes nothing in: {refusal}.")


@contextmanager
def _telling_of_redis() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise Stop(Exit.UNREACHABLE, f"Redis cannot be reached: {reason(error)}.") from None
