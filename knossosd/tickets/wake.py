"""Whom to wake when something is to be done: what the front doors get of the queues."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from knossosd.tickets.ending import Ended


class Wake(NamedTuple):
    """`worker` tells a worker that a ticket waits; `courier` has the webhooks of ended tickets delivered, and `again`
    makes one delivery, named by its id, once more."""

    worker: Callable[[int], object]
    courier: Callable[[Iterable[Ended | None]], object]
    again: Callable[[str], object]
