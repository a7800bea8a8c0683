"""A web process of its own, on a real Valkey; nobody converts what it takes."""

from collections.abc import Iterator

import pytest
import redis

from knossosd.settings import Settings
from knossosd.tickets.store import Tickets
from tests import checkouts
from tests.checkouts import Checkout


@pytest.fixture(scope="package")
def web(valkey: str) -> Iterator[Checkout]:
    """A running web process."""
    limits = {"MAX_CONTENT_LENGTH": 3_000_000, "MAX_UPLOAD_SIZE": 100_000_000, "MAX_DOCUMENT_SIZE": 200_000}
    with checkouts.checkout(REDIS=valkey, **limits) as copy:
        copy.start_web()
        yield copy


@pytest.fixture
def tickets(web: Checkout, redis_client: redis.Redis, settings: Settings) -> Tickets:
    """The tickets that the web process knows."""
    return Tickets(redis_client, settings)
