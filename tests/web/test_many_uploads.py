"""Twenty large uploads at the same time need no more memory than small ones.

They have 200 MB each; `--upload-size 1000` makes it a gigabyte.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout
from tests.web.crowd import WAYS, watched

COUNT = 20
MB = 1_000_000
MEMORY = 100 * MB
"""More than twenty uploads ever need, and half of what even one of 200 MB would, if it were kept in memory."""


class Started:
    """A running web process."""

    def __init__(self, web: Checkout, pid: int) -> None:
        self.web = web
        self.pid = pid


@pytest.fixture
def started(valkey: str) -> Iterator[Started]:
    with checkouts.checkout(REDIS=valkey, MAX_CONTENT_LENGTH=2000 * MB) as copy:
        yield Started(copy, copy.start_web().pid)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", WAYS)
def test_the_memory_stays_the_same_whatever_is_uploaded(
    started: Started, way: str, request: pytest.FixtureRequest
) -> None:
    size = request.config.getoption("--upload-size") * MB
    WAYS[way](started.web, COUNT, 2 * MB)  # what is loaded and made once
    with watched(started.web, started.pid) as cost:
        answers = WAYS[way](started.web, COUNT, size)
    assert all(answer["size"] == size for answer in answers)
    assert cost.grown < MEMORY, cost
    mirror = started.web.folder / "var" / "mirror"
    if way == "one request":
        assert len({answer["sha256"] for answer in answers}) == COUNT
        assert left_in(mirror / ".work") == []


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
