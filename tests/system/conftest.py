"""A whole installation: supervisord, Valkey, web server and consumers as real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import archives, checkouts
from tests.checkouts import Checkout


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


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A small archive."""
    return archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()
