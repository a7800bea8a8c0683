"""Addresses that were refused too often."""

import pytest
import redis

from knossosd.tickets import keys, refusals
from knossosd.tickets.refusals import COST, LONGEST, Refusals


def test_so_many_are_free_and_then_one_a_minute(redis_client: redis.Redis) -> None:
    guesses = Refusals(redis_client, 3)
    for _ in range(3):
        assert guesses.wait("192.0.2.1") == 0
        guesses.note("192.0.2.1")
    assert 0 < guesses.wait("192.0.2.1") <= COST
    assert guesses.wait("192.0.2.2") == 0
    redis_client.zincrby(keys.REFUSALS, -COST, "192.0.2.1")  # as if a minute had passed
    assert guesses.wait("192.0.2.1") == 0
    guesses.note("192.0.2.1")
    assert guesses.wait("192.0.2.1") > 0


def test_who_guesses_many_at_once_pays_for_all_of_them(redis_client: redis.Redis) -> None:
    guesses = Refusals(redis_client, 3)
    for _ in range(100):
        guesses.note("192.0.2.1")
    assert 96 * COST < guesses.wait("192.0.2.1") <= 98 * COST


def test_nobody_waits_for_ever(redis_client: redis.Redis) -> None:
    guesses = Refusals(redis_client, 1)
    for _ in range(int(2 * LONGEST / COST)):
        guesses.note("192.0.2.1")
    assert guesses.wait("192.0.2.1") <= LONGEST
    assert 0 < redis_client.ttl(keys.REFUSALS) <= LONGEST


def test_what_is_remembered_is_bounded(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "REMEMBERED", 10)
    guesses = Refusals(redis_client, 2)
    for _ in range(5):
        guesses.note("192.0.2.1")
    for number in range(100):
        guesses.note(f"2001:db8:0:{number:x}::/64")
    assert redis_client.zcard(keys.REFUSALS) == 10
    assert guesses.wait("192.0.2.1") > 0, "who owes most is not forgotten"


def test_what_is_paid_is_forgotten(redis_client: redis.Redis) -> None:
    redis_client.zadd(keys.REFUSALS, {"192.0.2.1": 5.0})
    Refusals(redis_client, 2).note("192.0.2.2")
    assert redis_client.zrange(keys.REFUSALS, 0, -1) == ["192.0.2.2"]


def test_without_a_limit_nothing_is_remembered(redis_client: redis.Redis) -> None:
    guesses = Refusals(redis_client, None)
    guesses.note("192.0.2.1")
    assert (guesses.wait("192.0.2.1"), redis_client.exists(keys.REFUSALS)) == (0, 0)
