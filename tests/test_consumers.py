"""What a worker takes off the queue, which is a real one."""

import pickle

import huey.registry
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from knossosd.consumers import Queue
from knossosd.settings import Settings
from knossosd.tickets import keys

NOWHERE = {"redis": "unix:///nobody/is/there"}
UNKNOWN = b'{"name": "knossosd.tasks.abolished", "args": [5]}'


@pytest.fixture
def queue(settings: Settings, redis_client: redis.Redis) -> Queue:
    queue = Queue("knossosd.tried", "worker", settings)
    queue.task(name="convert")(print)
    return queue


def test_what_cannot_be_read_is_passed_over_at_once(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """One call of `dequeue` gets there: after a call that fails, Huey lets the worker rest for up to ten seconds."""
    pickled = pickle.dumps(huey.registry.Message("an-id", "knossosd.tasks.convert", args=(5,)))
    for message in (pickled, b"", b"{}", UNKNOWN):
        queue.storage.enqueue(message)
    [convert] = queue._registry._registry.values()
    queue.enqueue(convert((7,)))
    task = queue.dequeue()
    assert task is not None
    assert task.args == (7,)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    queue.storage.enqueue(UNKNOWN)
    assert queue.dequeue() is None


def test_what_recurs_is_done_by_one_of_all_consumers_each_time(settings: Settings, redis_client: redis.Redis) -> None:
    consumers = [Queue("knossosd.tried", "upkeep", settings) for _ in range(3)]
    for one in consumers:
        one.recurring("often", every=60)(print)
        one.recurring("never", every=60, during=lambda _: False)(print)

    def looked() -> list[list[str]]:
        return [[task.name for task in one.read_periodic(None)] for one in consumers]

    assert looked() == [["often"], [], []]
    assert looked() == [[], [], []], "its time has not come again"
    [turn] = redis_client.keys("knossosd:turn:*")
    assert 50 < redis_client.ttl(turn) <= 60
    redis_client.delete(turn)
    assert looked() == [["often"], [], []]


def test_who_won_a_turn_takes_it_though_redis_leaves_then(settings: Settings, redis_client: redis.Redis) -> None:
    """Else nobody would verify the mirror until the next night."""
    queue = Queue("knossosd.tried", "upkeep", settings)
    for name in ("verify", "broken", "sweep"):
        queue.recurring(name, every=60)(print)
    redis_client.hset(keys.turn("broken"), "what", "no turn")
    assert [task.name for task in queue.read_periodic(None)] == ["verify"]
    redis_client.delete(keys.turn("broken"))
    assert [task.name for task in queue.read_periodic(None)] == ["broken", "sweep"]


def test_what_recurs_waits_for_redis(settings: Settings) -> None:
    """An error here would end Huey's scheduler."""
    queue = Queue("knossosd.tried", "upkeep", settings.model_copy(update=NOWHERE))
    queue.recurring("often", every=60)(print)
    assert queue.read_periodic(None) == []


def test_a_server_that_stands_still_is_no_empty_queue(
    queue: Queue, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    queue.storage.pool.connection_kwargs.update(retry=Retry(NoBackoff(), 0), socket_timeout=1.5)
    redis_client.client_pause(4000)
    assert queue.dequeue() is None
    assert "reading the queue has to wait for Redis" in caplog.text
    redis_client.client_unpause()


def test_an_outage_is_told_once(queue: Queue, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again every second, by every consumer."""
    caplog.set_level("INFO")
    there, nowhere = queue.storage, Queue("knossosd.tried", "worker", settings.model_copy(update=NOWHERE)).storage
    nowhere.pool.connection_kwargs["retry"] = Retry(NoBackoff(), 0)
    queue.storage = nowhere
    for _ in range(3):
        assert queue.dequeue() is None
        assert queue.read_schedule() == []
    queue.storage = there
    assert queue.dequeue() is None
    assert queue.read_schedule() == []
    told = [record.message.partition(":")[0] for record in caplog.records]
    assert told == [
        "reading the queue has to wait for Redis",
        "reading the schedule has to wait for Redis",
        "reading the queue goes on, Redis answers again",
        "reading the schedule goes on, Redis answers again",
    ]
