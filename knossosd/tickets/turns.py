"""What recurs is done once each time, however many processes would do it: whoever comes first takes the turn.

A turn ends by itself, by the clock of Redis: those of the hosts may differ. One that was lost with its process costs a
period, and nothing else.
"""

import redis

from knossosd.tickets import keys


class Turns:
    """The turns of everybody who does the same things, agreed upon through `client`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def take(self, what: str, seconds: float) -> bool:
        """Whether it is for the caller to do that now; then nobody else does it for so many `seconds`."""
        return bool(self._client.set(keys.turn(what), "taken", nx=True, px=int(seconds * 1000)))
