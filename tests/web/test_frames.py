"""WebSocket frames, as clients and strangers send them: what RFC 6455 says becomes of each."""

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knossosd.tickets.store import Tickets
from knossosd.web.socket import MAX_MESSAGE
from tests.checkouts import Checkout
from tests.web.test_live import GOOD
from tests.web.test_requests import end_sending

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Frame(NamedTuple):
    """A frame as it is sent; `flags` are the three reserved bits."""

    opcode: int
    payload: bytes = b""
    final: bool = True
    masked: bool = True
    flags: int = 0

    def written(self) -> bytes:
        size = len(self.payload)
        length = (
            bytes([size])
            if size < 126
            else struct.pack("!BH", 126, size)
            if size < 2**16
            else struct.pack("!BQ", 127, size)
        )
        head = bytes([self.final << 7 | self.flags << 4 | self.opcode, length[0] | self.masked << 7]) + length[1:]
        mask = b"\x5a\xa5\x00\xff"
        scrambled = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self.payload))
        return head + mask + scrambled if self.masked else head + self.payload


def verdict(frames: Sequence[Frame]) -> tuple[int, int | None]:
    """How many of the frames are read, and the code that the server closes with, None when it does not."""
    message, begun = b"", False
    for count, frame in enumerate(frames, 1):
        if frame.flags or not frame.masked or (frame.opcode >= 8 and (not frame.final or len(frame.payload) > 125)):
            return count, 1002
        if len(frame.payload) > MAX_MESSAGE:
            return count, 1009
        if frame.opcode == CLOSE:
            return count, 1000
        if frame.opcode in (PING, PONG):
            continue
        if frame.opcode == BINARY:
            return count, 1003
        if frame.opcode != (CONTINUATION if begun else TEXT):
            return count, 1002
        message, begun = message + frame.payload, not frame.final
        if len(message) > MAX_MESSAGE:
            return count, 1009
        if frame.final:
            try:
                message.decode()
            except UnicodeDecodeError:
                return count, 1007
            message = b""
    return len(frames), None


payloads = st.binary(max_size=130) | st.sampled_from(
    [
        b'["captcha_response", ["x"]]',
        b"[" * 5000,
        "ä".encode(),
        "ä".encode()[:1],
        bytes(65535),
        bytes(65536),
        bytes(65537),
    ]
)
good = st.tuples(st.sampled_from([CONTINUATION, TEXT, BINARY, PING, PONG]), payloads, st.booleans())
odd = st.tuples(st.integers(0, 15), payloads, st.booleans(), st.booleans(), st.sampled_from([0, 0, 0, 1, 2, 4]))
conversations = st.lists((good | odd).map(lambda parts: Frame(*parts)), max_size=8)


@pytest.fixture(scope="module")
def ticket(web: Checkout, valkey: str) -> int:
    """One that nobody converts, so that little is said of it."""
    return web.submit({"id": "m", "title": "t", "version": "1.0.0", "packages": [{"name": "p"}]})[0]


def connect(web: Checkout, ticket: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=20)
    connection.sendall("\r\n".join([f"GET /ws/inter/{ticket} HTTP/1.1", "Host: x", *GOOD, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return connection


def said(connection: socket.socket) -> tuple[list[bytes], int | None]:
    """What the server says until it hangs up: the payloads of its pongs, and the code that it closes with."""
    pongs, stream = [], connection.makefile("rb")
    while head := stream.read(2):
        length = head[1]
        assert not length & 0x80, "servers do not mask"
        if length >= 126:
            length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
        payload = stream.read(length)
        assert len(payload) == length
        if head[0] == 0x80 | PONG:
            pongs.append(payload)
        elif head[0] == 0x80 | CLOSE:
            assert stream.read() == b"", "nothing comes behind the good-bye"
            return pongs, int.from_bytes(payload, "big")
        else:
            assert head[0] in (0x80 | TEXT, 0x80 | PING)
    return pongs, None


@given(conversations)
@example([Frame(TEXT, b"", final=False), Frame(TEXT, b"")])
@example([Frame(CONTINUATION, b"x")])
@example([Frame(3, b"x")])
@example([Frame(TEXT, "ä".encode()[:1], final=False), Frame(PING, b"hm"), Frame(CONTINUATION, "ä".encode()[1:])])
@example([Frame(TEXT, bytes(40_000), final=False), Frame(CONTINUATION, bytes(40_000))])
def test_every_conversation_ends_as_the_standard_says(web: Checkout, ticket: int, frames: list[Frame]) -> None:
    read, code = verdict(frames)
    frames = frames[:read] if code is not None else [*frames, Frame(CLOSE)]
    with connect(web, ticket) as connection:
        connection.sendall(b"".join(frame.written() for frame in frames))
        answer = said(connection)
    pings = [frame.payload for frame in (frames[: read - 1] if code else frames) if frame.opcode == PING]
    assert answer == (pings, code or 1000)


@given(st.binary(max_size=300))
def test_no_bytes_keep_the_server_from_hanging_up(web: Checkout, ticket: int, noise: bytes) -> None:
    with connect(web, ticket) as connection, suppress(ConnectionError):
        connection.sendall(noise)
        end_sending(connection)
        while connection.recv(65536):
            pass


def test_a_message_in_countless_empty_pieces_costs_no_memory(web: Checkout, ticket: int) -> None:
    with connect(web, ticket) as connection:
        connection.sendall(Frame(TEXT, final=False).written() + Frame(CONTINUATION, final=False).written() * 30_000)
        connection.sendall(Frame(PING, b"still there").written() + Frame(CLOSE).written())
        assert said(connection) == ([b"still there"], 1000)


def test_the_server_is_well_after_all_that(web: Checkout, tickets: Tickets) -> None:
    assert web.get("/healthz") == {"alive": True}
    logs = web.logs()
    assert "Traceback" not in logs, logs[logs.index("Traceback") - 500 :][:4000]
