"""Whether what a verb needs can be reached, asked once and quickly."""

import redis

from knossosd import tasks
from knossosd.cli.exits import Exit, Stop
from knossosd.tickets.connection import connect_once


def insist_on_redis() -> None:
    """End the verb with one sentence when Redis does not answer."""
    try:
        connect_once(tasks.settings, "command").ping()
    except redis.RedisError as error:
        raise Stop(Exit.UNREACHABLE, f"Redis cannot be reached: {error}.") from None
