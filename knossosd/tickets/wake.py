"""Whom to wake when something is to be done: what the front doors get of the queues."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from knossosd.tickets.ending import Ended


class Wake(NamedTuple):
    """`worker` tells a worker that a ticket waits; `courier` has the webhooks of ended tickets delivered; `reader` has
    a worker preview an upload, which is named by its sha256 and its file name; `finisher` has uploads in parts
    finished; `again` has a courier make a delivery, which is named by its id, once more."""

    worker: Callable[[int], object]
    courier: Callable[[Iterable[Ended | None]], object]
    reader: Callable[[str, str], object]
    finisher: Callable[[], object]
    again: Callable[[str], object]
