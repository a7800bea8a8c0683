"""Leases, in one process and among many: the same promises."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from knossosd.conversion.leases import Leases, LocalLeases
from knossosd.conversion.observer import Cancelled
from knossosd.tickets.leases import SharedLeases, _Lease


@pytest.fixture(params=["local", "shared"])
def make(request: pytest.FixtureRequest) -> Callable[[], Leases]:
    """Makes the leases of one worker."""
    if request.param == "local":
        local = LocalLeases()
        return lambda: local
    client = request.getfixturevalue("redis_client")
    return lambda: SharedLeases(client, client, lifetime=2)


def hold(leases: Leases, *names: str, **more: Any) -> AbstractContextManager[None]:
    return leases.hold(names, **{"busy": lambda: None, "check": lambda: None, **more})


def test_one_at_a_time_holds_a_name(make: Callable[[], Leases]) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with hold(make(), "name"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_of_several_names_a_free_one_is_taken(make: Callable[[], Leases]) -> None:
    told: list[str] = []
    with (
        hold(make(), "a", "b", busy=lambda: told.append("first")),
        hold(make(), "a", "b", busy=lambda: told.append("second")),
        pytest.raises(Cancelled),
    ):
        hold(make(), "a", "b", busy=lambda: told.append("third"), check=_call_off).__enter__()
    assert told == ["third"]


def test_whoever_fails_lets_go(make: Callable[[], Leases]) -> None:
    with pytest.raises(ValueError, match="oops"), hold(make(), "name"):
        raise ValueError("oops")
    with hold(make(), "name", check=_call_off):
        pass


def test_a_lease_is_renewed_as_long_as_it_is_held(redis_client: redis.Redis) -> None:
    leases = SharedLeases(redis_client, redis_client, lifetime=0.3)
    with hold(leases, "name"):
        [key] = redis_client.keys("knossosd:lease:*")
        owner = redis_client.get(key)
        for _ in range(8):
            time.sleep(0.1)
            assert redis_client.get(key) == owner
    assert redis_client.get(key) is None


def test_the_lease_of_a_worker_that_died_runs_out(redis_client: redis.Redis) -> None:
    dead = SharedLeases(redis_client, redis_client, lifetime=0.2)
    assert dead._take(["knossosd:lease:x"], "dead", _go_on) == "knossosd:lease:x"
    living = SharedLeases(redis_client, redis_client, lifetime=0.2)
    while living._take(["knossosd:lease:x"], "living", _go_on) is None:
        time.sleep(0.02)
    assert redis_client.get("knossosd:lease:x") == "living"


def test_a_lease_from_before_the_clock_was_set_back_runs_out(redis_client: redis.Redis) -> None:
    leases = SharedLeases(redis_client, redis_client, lifetime=5)
    assert leases._take(["knossosd:lease:x"], "dead", _go_on)
    redis_client.pexpire("knossosd:lease:x", 3600_000)
    assert leases._take(["knossosd:lease:x"], "living", _go_on) is None
    assert redis_client.pttl("knossosd:lease:x") <= 5000


def test_a_lease_that_was_asked_for_twice_is_held(redis_client: redis.Redis) -> None:
    """The first answer was lost."""
    leases = SharedLeases(redis_client, redis_client, lifetime=5)
    assert leases._take(["knossosd:lease:x"], "me", _go_on)
    assert leases._take(["knossosd:lease:x"], "me", _go_on)


def test_who_wants_a_lease_waits_while_redis_takes_nothing_in(redis_client: redis.Redis) -> None:
    leases = SharedLeases(redis_client, redis_client, lifetime=5)
    told: list[str] = []
    redis_client.config_set("maxmemory", 1)
    try:
        with hold(leases, "name", busy=lambda: told.append("busy"), check=lambda: _make_room(redis_client)):
            assert told == [], "nobody else has it"
    finally:
        _make_room(redis_client)


def test_a_lease_that_ran_out_while_redis_was_away_is_taken_again(redis_client: redis.Redis) -> None:
    leases = SharedLeases(redis_client, redis_client, lifetime=0.3)
    with hold(leases, "name"):
        [key] = redis_client.keys("knossosd:lease:*")
        redis_client.delete(key)
        while not redis_client.exists(key):
            time.sleep(0.01)
    assert not redis_client.exists(key)


def test_a_lease_that_was_given_back_is_not_prolonged(redis_client: redis.Redis) -> None:
    lease = _Lease(redis_client, "knossosd:lease:x", "owner", 5000)
    lease.prolong()
    assert redis_client.get("knossosd:lease:x") == "owner"
    lease.give_back()
    lease.prolong()
    assert not redis_client.exists("knossosd:lease:x")


def test_work_that_is_done_does_not_fail_because_redis_is_away(redis_client: redis.Redis) -> None:
    away = redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0))
    with hold(SharedLeases(redis_client, away, lifetime=5), "name"):
        pass


def test_only_the_owner_releases_a_lease(redis_client: redis.Redis) -> None:
    leases = SharedLeases(redis_client, redis_client, lifetime=5)
    with hold(leases, "name"):
        [key] = redis_client.keys("knossosd:lease:*")
        redis_client.set(key, "somebody else, after it ran out")
    assert redis_client.get(key) == "somebody else, after it ran out"


def _call_off() -> None:
    raise Cancelled


def _go_on() -> None:
    """Nobody calls it off."""


def _make_room(client: redis.Redis) -> None:
    client.config_set("maxmemory", 0)
