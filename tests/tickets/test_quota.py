"""How many bytes an API key may upload in a day."""

import threading

import pytest
import redis

from knossosd.settings import DAY, HOUR
from knossosd.tickets.quota import UploadQuota
from knossosd.tickets.store import QuotaReached
from tests.tickets.test_store import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quota(redis_client: redis.Redis, clock: Clock) -> UploadQuota:
    return UploadQuota(redis_client, 100, clock)


def test_each_owner_may_upload_so_much_in_a_day(quota: UploadQuota, clock: Clock) -> None:
    quota.spend("me", "a", 60)
    clock.now += HOUR
    quota.spend("me", "b", 40)
    quota.spend("you", "c", 100)
    with pytest.raises(QuotaReached) as reached:
        quota.spend("me", "d", 1)
    assert DAY - HOUR <= reached.value.after <= DAY - HOUR + 1, "then the first of them counts no more"
    clock.now += DAY - HOUR
    quota.spend("me", "d", 60)


def test_what_did_not_stay_counts_no_more(quota: UploadQuota) -> None:
    quota.spend("me", "a", 100)
    quota.give_back("me", "a")
    quota.spend("me", "b", 100)


def test_what_was_refused_does_not_count(quota: UploadQuota) -> None:
    with pytest.raises(QuotaReached):
        quota.spend("me", "a", 101)
    quota.spend("me", "b", 100)


def test_an_upload_that_is_counted_again_counts_once(quota: UploadQuota) -> None:
    """When the answer of Redis is lost, the client sends the step again."""
    quota.spend("me", "a", 100)
    quota.spend("me", "a", 100)


def test_many_at_once_do_not_get_past_it(quota: UploadQuota) -> None:
    taken: list[int] = []

    def spend(number: int) -> None:
        try:
            quota.spend("me", str(number), 10)
        except QuotaReached:
            return
        taken.append(number)

    threads = [threading.Thread(target=spend, args=[number]) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 10


def test_nothing_stays_in_redis_for_longer_than_a_day(quota: UploadQuota, redis_client: redis.Redis) -> None:
    quota.spend("me", "a", 1)
    [key] = redis_client.keys("*")
    assert 0 < redis_client.ttl(key) <= DAY


def test_without_a_quota_redis_is_not_asked() -> None:
    nowhere = redis.Redis(unix_socket_path="/nowhere")
    UploadQuota(nowhere, None).spend("me", "a", 10**15)
    UploadQuota(nowhere, None).give_back("me", "a")
