"""An installation that things happen to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout
from tests.faults.storm import SETTINGS, Storm, storm
from tests.hosts import Host


@pytest.fixture
def installation() -> Iterator[Checkout]:
    with checkouts.checkout(**SETTINGS) as copy:
        copy.start_supervisor()
        yield copy


@pytest.fixture
def a_storm(installation: Checkout, host: Host, tmp_path: Path) -> Iterator[Storm]:
    with storm(installation, host, tmp_path, seed=7) as one:
        yield one
