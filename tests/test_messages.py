"""Messages in the queues are data, never code."""

import json
import pickle
from pathlib import Path

import pytest
from huey.registry import Message
from hypothesis import example, given
from hypothesis import strategies as st

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


plain = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
messages = st.builds(
    lambda name, arguments, retries: MESSAGE._replace(name=name, args=tuple(arguments), retries=retries),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.lists(plain, max_size=4),
    st.integers(0, 5),
)
values = st.recursive(
    plain | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
nearly = st.dictionaries(st.sampled_from([*Message._fields, "x"]), values, min_size=1, max_size=3).map(
    lambda wrong: {**MESSAGE._asdict(), **wrong}
)
noise = st.binary(max_size=40) | (values | nearly).map(lambda value: json.dumps(value).encode())


@given(st.lists(messages | noise, max_size=8))
@example([b'{"args": [], "retries": ' + b"9" * 5000 + b"}"])
def test_of_a_queue_every_message_is_read_and_nothing_else(queue: list[Message | bytes]) -> None:
    """What others write between our messages costs none of them, and what is read is fit to be run."""
    serializer = JsonMessages()
    written = [one if isinstance(one, bytes) else serializer.serialize(one) for one in queue]
    read = list(serializer.readable(written))
    ours = [one for one in queue if isinstance(one, Message)]
    assert [one for one in read if one in ours] == ours
    for message in read:
        assert isinstance(message.args, tuple)
        assert isinstance(message.kwargs, dict)
        assert isinstance(message.name, str)
        assert isinstance(message.id, str)


def test_what_is_no_plain_value_is_not_queued() -> None:
    with pytest.raises(TypeError):
        JsonMessages().serialize(MESSAGE._replace(args=(object(),)))
