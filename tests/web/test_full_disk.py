"""A disk that takes no more: the upload is refused in plain words, and nothing of it stays."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout
from tests.web.test_chunked import Client
from tests.web.test_drop import MAGIC, drop, multipart, uploads

FULL = 512 * 1024
"""Bytes from which the kernel lets no file of the web process grow."""


@pytest.fixture
def web(valkey: str) -> Iterator[Checkout]:
    with checkouts.checkout(REDIS=valkey, UPLOAD_QUOTA=5_000_000) as copy:
        limited = f"ulimit -f {FULL // 1024}; exec {sys.executable} knossosd.py serve"
        with (copy.folder / "web.log").open("w") as log:
            copy.start("bash", "-c", limited, stdout=log, stderr=log)
        copy.wait_until_ready()
        yield copy


def test_an_upload_that_fills_the_disk_is_refused_and_leaves_nothing(web: Checkout) -> None:
    for _ in range(3):  # more than the quota, if these counted
        status, answer, headers = drop(web, multipart(MAGIC + bytes(2_000_000)))
        assert (status, answer) == (507, {"error": True, "message": "There is not enough room on the server."})
        assert headers["Access-Control-Allow-Origin"] == "*"
    assert (uploads(web), files(web)) == (set(), [])
    assert drop(web, multipart(MAGIC + bytes(100_000)))[0] == 200


def test_an_upload_in_parts_has_its_room_before_anything_is_sent(web: Checkout) -> None:
    client = Client(web)
    for _ in range(3):
        assert client.ask("POST", "", {"filename": "core.7z", "size": 2_000_000})[0] == 507
    assert files(web) == []
    client.give_up(client.begin(MAGIC + bytes(100_000)))


def test_uploads_in_parts_leave_room_for_conversions(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey, MIN_FREE_DISK=10**18) as copy:
        copy.start_web()
        client = Client(copy)
        assert client.ask("POST", "", {"filename": "core.7z", "size": 10})[0] == 507
        assert drop(copy, multipart(MAGIC))[0] == 200


def files(web: Checkout) -> list[Path]:
    mirror = web.folder / "var" / "mirror"
    return [path for folder in (".work", ".parts", ".store") for path in (mirror / folder).rglob("*") if path.is_file()]
