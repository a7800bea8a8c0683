"""What stands in the queues: JSON, so that whoever can write into Redis cannot make a worker run what he likes.

Huey would pickle its messages, and unpickling runs what the writer wants.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from huey.registry import Message
from huey.serializer import Serializer

log = logging.getLogger(__name__)

ABSENT = ("eta", "expires", "expires_resolved", "timeout", "on_complete", "on_error", "chord_config")
NUMBERS = ("retries", "retry_delay", "retry_backoff", "priority")


class Unreadable(ValueError):
    """This is no message of ours, or one of another version's."""


class JsonMessages(Serializer):  # type: ignore[misc]
    """Huey's serializer for tasks whose arguments are plain values, and which are neither scheduled nor chained."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps(data._asdict()).encode()

    def _deserialize(self, data: bytes) -> Message:
        """Raises `Unreadable`."""
        try:
            fields: dict[str, Any] = json.loads(data)
            message = Message(**{**fields, "args": tuple(fields["args"])})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unreadable(str(error)) from error
        if not _is_plain(message):
            raise Unreadable("It is none of ours, or scheduled, or chained.")
        return message

    def readable(self, messages: Iterable[bytes]) -> Iterator[Message]:
        """The messages that can be read. Others wake nobody."""
        for message in messages:
            try:
                yield self.deserialize(message)
            except Unreadable as error:
                log.warning("a message in the queue cannot be read: %s", error)


def _is_plain(message: Message) -> bool:
    """Whether Huey can do something with the fields of the message: it trusts them."""
    return (
        isinstance(message.id, str)
        and isinstance(message.name, str)
        and isinstance(message.kwargs, dict)
        and all(isinstance(getattr(message, name), int | float | None) for name in NUMBERS)
        and all(getattr(message, name) is None for name in ABSENT)
    )
