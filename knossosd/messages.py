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
        if message.on_complete or message.on_error or message.chord_config:
            raise Unreadable("It is chained.")
        return message

    def readable(self, messages: Iterable[bytes]) -> Iterator[Message]:
        """The messages that can be read. Others wake nobody."""
        for message in messages:
            try:
                yield self.deserialize(message)
            except Unreadable as error:
                log.warning("a message in the queue cannot be read: %s", error)
