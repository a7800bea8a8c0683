"""A whole installation: supervisord, Valkey, web server and consumers as real processes."""

from collections.abc import Iterator

import pytest

from tests import checkouts, hosts
from tests.checkouts import Checkout
from tests.hosts import Host


@pytest.fixture
def host() -> Iterator[Host]:
    """A file server."""
    with hosts.running_host() as host:
        yield host


@pytest.fixture(scope="package")
def installation() -> Iterator[Checkout]:
    """A running installation that tests share, and leave as they found it."""
    with checkouts.checkout() as copy:
        copy.start_supervisor()
        yield copy


@pytest.fixture
def own_installation() -> Iterator[Checkout]:
    """A running installation that a test may stop."""
    with checkouts.checkout() as copy:
        copy.start_supervisor()
        yield copy
