"""What one does for all: each turn is taken once, whatever becomes of Redis and its clock."""

from typing import Any

import pytest
import redis

from knossosd.tickets import keys
from knossosd.tickets.turns import Turns


def test_one_takes_a_turn_and_its_time_is_its_own(redis_client: redis.Redis) -> None:
    one, other = Turns(redis_client), Turns(redis_client)
    assert one.take("sweep", 60)
    assert not other.take("sweep", 60)
    assert not one.take("sweep", 60)
    assert other.take("verify", 60)
    redis_client.delete(keys.turn("sweep"))
    assert other.take("sweep", 60)


def test_a_turn_from_before_the_clock_was_set_back_ends_in_time(redis_client: redis.Redis) -> None:
    turns = Turns(redis_client)
    assert turns.take("reap", 60)
    redis_client.pexpire(keys.turn("reap"), 86_400_000)  # what a jump of a day leaves
    assert not turns.take("reap", 60)
    assert 0 < redis_client.pttl(keys.turn("reap")) <= 60_000


def test_a_turn_whose_answer_was_lost_is_ours(redis_client: redis.Redis) -> None:
    class Deaf(redis.Redis):
        def execute_command(self, *arguments: Any, **options: Any) -> Any:
            super().execute_command(*arguments, **options)
            raise redis.ConnectionError("the answer was lost")

    turns = Turns(Deaf(connection_pool=redis_client.connection_pool))
    with pytest.raises(redis.ConnectionError):
        turns.take("verify", 60)
    assert not Turns(redis_client).take("verify", 60)
    turns._client = redis_client
    assert turns.take("verify", 60)
    assert not turns.take("verify", 60)
