"""What recurs is done once each time, however many processes would do it: whoever comes first takes the turn.

A turn is a lease that nobody gives back. It ends by itself, by the clock of Redis: those of the hosts may differ. One
that was lost with its process costs a period, and nothing else.
"""

import secrets

import redis

from knossosd.tickets import keys
from knossosd.tickets.leases import TAKE


class Turns:
    """The turns of everybody who does the same things, agreed upon through `client`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._asked: dict[str, str] = {}

    def take(self, what: str, seconds: float) -> bool:
        """Whether it is for the caller to do that now; then nobody else does it for so many `seconds`.

        After a `RedisError` nobody knows who has the turn; it is ours if we took it, and the next call says so.
        """
        owner = self._asked.setdefault(what, secrets.token_hex(8))
        is_taken = bool(self._client.eval(TAKE, 1, keys.turn(what), owner, int(seconds * 1000)))
        del self._asked[what]
        return is_taken
