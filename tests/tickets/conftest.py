"""Tickets on a real, empty Valkey."""

import pytest
import redis

from knossosd.settings import Settings
from knossosd.tickets import outbox, reaper
from knossosd.tickets.store import Receipt, Tickets


@pytest.fixture(autouse=True)
def no_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever vanishes here does not live: nobody waits for him."""
    for module in (outbox, reaper):
        monkeypatch.setattr(module, "LAST_CALL", 0)


@pytest.fixture
def tickets(redis_client: redis.Redis, settings: Settings) -> Tickets:
    return Tickets(redis_client, settings)


@pytest.fixture
def receipt(tickets: Tickets) -> Receipt:
    return tickets.create('{"mods": []}', title="My Mod", webhook="https://site.example/hook")
