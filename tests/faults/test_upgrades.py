"""What an older version has left in Redis while the installation was stopped is understood by this one."""

import json
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huey.registry
import pytest
import redis

from knossosd.settings import DAY
from knossosd.tickets import keys
from tests import archives, checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.conftest import wait_for_socket
from tests.hosts import Host

pytestmark = pytest.mark.timeout(250)

TICKET, TOKEN = 4711, "a-token-of-long-ago"

TWO_MINUTES = 120.0
"""One period of upkeep and the conversion; what a slow machine needs besides."""


@contextmanager
def redis_alone(installation: Checkout) -> Iterator[redis.Redis]:
    """The Redis of a stopped installation."""
    server = installation.start(sys.executable, "knossosd.py", "redis")
    socket = installation.folder / "var" / "redis.sock"
    wait_for_socket(server, socket)
    with installation.redis() as client:
        yield client
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def leave_behind(client: redis.Redis, document: str) -> None:
    """A ticket that waits, in its first form, and many messages that Huey pickled."""
    now = time.time()
    record = {"state": "WAITING", "time": now, "created": now, "title": "My Mod", "token": TOKEN}
    client.hset(keys.record(TICKET), mapping=record)
    client.set(keys.document(TICKET), document)
    client.zadd(keys.TICKETS, {str(TICKET): now + DAY})
    client.zadd(keys.QUEUE, {str(TICKET): now})
    message = huey.registry.Message("an-id", "knossosd.tasks.convert", args=(TICKET,), kwargs={})
    for queue in ("convert", "upkeep"):
        client.rpush(f"huey.redis.knossosd{queue}", *[pickle.dumps(message)] * 50)


def test_a_ticket_of_an_older_version_is_converted(host: Host, tmp_path: Path) -> None:
    content = archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()
    document = a_document(host.link("/core.7z", hosts.serves(content)))
    with checkouts.checkout() as installation:
        with redis_alone(installation) as client:
            leave_behind(client, json.dumps(document))
        installation.start_supervisor()
        assert installation.state(TICKET) in ("WAITING", "WORKING", "DONE")
        wait_until(lambda: installation.state(TICKET) == "DONE", "upkeep has woken a worker", TWO_MINUTES)
        outcome = installation.outcome(TICKET, TOKEN)
        assert outcome["success"], outcome
        assert json.loads(outcome["json"])["mods"][0]["id"] == "my_mod"
        for program in ("worker", "upkeep"):
            lines = installation.log_lines(program)
            assert sum("cannot be read" in line["message"] for line in lines) >= 50
            assert not [line for line in lines if line["level"] == "ERROR"], "no worker has stumbled"
