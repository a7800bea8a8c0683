"""What one API key may upload in a day, at both doors."""

from collections.abc import Iterator

import pytest
import redis

from tests import checkouts
from tests.checkouts import Checkout
from tests.web.test_chunked import Client
from tests.web.test_drop import MAGIC, drop, multipart


@pytest.fixture
def web(valkey: str, redis_client: redis.Redis) -> Iterator[Checkout]:
    """A web process that takes a million bytes a day."""
    with checkouts.checkout(REDIS=valkey, API_KEYS=("a-key-for-tests", "another"), UPLOAD_QUOTA=1_000_000) as copy:
        copy.start_web()
        yield copy


def test_a_key_may_upload_so_much_at_both_doors_together(web: Checkout) -> None:
    client, half = Client(web), MAGIC + bytes(500_000)
    assert drop(web, multipart(half))[0] == 200
    client.token = "a-key-for-tests"
    status, answer = client.ask("POST", "", {"filename": "core.7z", "size": len(half)})
    assert (status, answer["error"], "Retry-After" in client.headers) == (429, True, True)
    status, answer, headers = drop(web, multipart(half))
    assert (status, answer["error"], "Retry-After" in headers) == (429, True, True)
    assert headers["Access-Control-Allow-Origin"] == "*"
    client.token = "another"
    assert client.ask("POST", "", {"filename": "core.7z", "size": len(half)})[0] == 200


def test_what_came_to_nothing_does_not_count(web: Checkout) -> None:
    client, page = Client(web), b"<html>" * 150_000
    for _ in range(3):
        assert drop(web, multipart(page))[1]["message"] == "core.7z is no archive."
        client.give_up(client.begin(page))
    assert drop(web, multipart(MAGIC + bytes(900_000)))[0] == 200
