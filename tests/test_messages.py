"""Messages in the queues are data, never code."""

import pickle
from pathlib import Path

import pytest
from huey.registry import Message

from knossosd.messages import JsonMessages

MESSAGE = Message("an-id", "knossosd.tasks.convert", args=(2**53 - 1,), kwargs={}, retries=0, retry_delay=0)


class Evil:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_a_message_comes_out_as_it_went_in() -> None:
    messages = JsonMessages()
    assert messages.deserialize(messages.serialize(MESSAGE)) == MESSAGE


def test_what_is_pickled_is_not_run(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(tmp_path / "ran"))
    with pytest.raises(ValueError, match=r"."):
        JsonMessages().deserialize(evil)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"5",
        b"{}",
        b'{"args": 5}',
        b'{"args": [], "x": 1}',
        b"\xff",
        b'{"args": [], "on_error": [5]}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_passed_over(text: bytes) -> None:
    messages = JsonMessages()
    assert list(messages.readable([text, messages.serialize(MESSAGE), text])) == [MESSAGE]


def test_what_is_no_plain_value_is_not_queued() -> None:
    with pytest.raises(TypeError):
        JsonMessages().serialize(MESSAGE._replace(args=(object(),)))
