"""Watching a ticket through real WebSockets."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websocket

from knossosd.conversion.observer import FileProgress, Level, Snapshot, Stage
from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import MAX_LOG_LINES, Execution
from knossosd.tickets.store import Receipt, Tickets
from tests import checkouts
from tests.checkouts import Checkout, wait_until
from tests.tickets.steps import claimed


class Watching:
    """A watcher that collects messages."""

    def __init__(self, web: Checkout, ticket: int, kind: str = "watcher", after: str = "") -> None:
        url = f"ws://127.0.0.1:{web.port}/ws/{kind}/{ticket}" + (f"?after={after}" if after else "")
        self.connection = websocket.create_connection(url, timeout=10)
        self.messages: list[Any] = []

    def next(self) -> Any:
        message = json.loads(self.connection.recv())
        self.messages.append(message)
        return message

    def until(self, name: str) -> Any:
        while True:
            message = self.next()
            if message[0] == name:
                return message

    def say(self, message: Any) -> None:
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    @property
    def lines(self) -> list[str]:
        return [message[1][0] for message in self.messages if message[0] == "log_message"]


@contextmanager
def watching(*arguments: Any, **options: Any) -> Iterator[Watching]:
    watcher = Watching(*arguments, **options)
    try:
        yield watcher
    finally:
        watcher.connection.close()


@pytest.fixture
def receipt(tickets: Tickets) -> Receipt:
    return tickets.create("{}", title="t")


@pytest.fixture
def execution(tickets: Tickets, receipt: Receipt) -> Execution:
    return claimed(tickets, receipt)


def test_an_unknown_ticket_is_missing(web: Checkout, tickets: Tickets) -> None:
    with watching(web, 5) as watcher:
        assert watcher.next() == ["task_status", ["missing"]]
        assert watcher.next() == ["log_message", ["The requested task is missing!"]]
        assert watcher.connection.recv() == ""


def test_a_waiting_ticket_says_so(web: Checkout, tickets: Tickets, receipt: Receipt) -> None:
    with watching(web, receipt.ticket) as watcher:
        assert watcher.next() == ["log_message", ["The task is queued, please wait..."]]
        execution = Execution.claim(tickets, receipt.ticket)
        assert execution is not None
        execution.log(Level.INFO, "begun")
        name, arguments, event_id = watcher.next()
        assert (name, arguments) == ("log_message", ["INFO: begun"])
        assert event_id


def test_early_and_late_watchers_see_the_same(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    watchers = []
    for number in range(30):
        if number % 3 == 0:
            watchers.append(Watching(web, receipt.ticket))
        execution.log(Level.INFO, str(number))
    execution.finish(Outcome("{}"))
    watchers.append(Watching(web, receipt.ticket))
    for watcher in watchers:
        watcher.until("done")
        assert watcher.lines == [f"INFO: {number}" for number in range(30)]
        assert watcher.messages[-1][:2] == ["done", [True]]
        watcher.connection.close()


def test_watchers_that_come_in_the_middle_of_a_flood_miss_nothing(
    web: Checkout, receipt: Receipt, execution: Execution
) -> None:
    flood = threading.Thread(target=lambda: [execution.log(Level.INFO, str(number)) for number in range(2000)])
    flood.start()
    watchers = [Watching(web, receipt.ticket) for _ in range(10)]
    flood.join()
    execution.finish(Outcome())
    for watcher in watchers:
        watcher.until("done")
        assert watcher.lines == [f"INFO: {number}" for number in range(2000)]
        watcher.connection.close()


def test_a_watcher_that_comes_back_gets_the_rest(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    for number in range(10):
        execution.log(Level.INFO, str(number))
    with watching(web, receipt.ticket) as watcher:
        last = [watcher.next() for _ in range(4)][-1][2]
    execution.finish(Outcome("{}"))
    with watching(web, receipt.ticket, after=last) as watcher:
        watcher.until("done")
        assert watcher.lines == [f"INFO: {number}" for number in range(4, 10)]


@pytest.mark.parametrize("after", ["nonsense", "-5", "1-2-3", "%00", "9" * 40])
def test_a_senseless_place_is_the_beginning(web: Checkout, receipt: Receipt, execution: Execution, after: str) -> None:
    execution.log(Level.INFO, "one")
    with watching(web, receipt.ticket, after=after) as watcher:
        assert watcher.next()[1] == ["INFO: one"]


def test_an_event_of_another_form_costs_nobody_the_others(
    web: Checkout, tickets: Tickets, receipt: Receipt, execution: Execution
) -> None:
    """As a worker of another version may tell it, while watchers of many tickets are there, and before."""
    other = tickets.create("{}", title="t")

    def tell_otherwise() -> None:
        for stream in keys.streams(receipt.ticket):
            tickets.client.xadd(stream, {"kind": "new"})
            tickets.client.publish(keys.NEWS, stream)
        for news in ("knossosd:ticket:x:events", "of another kind", keys.streams(receipt.ticket)[0]):
            tickets.client.publish(keys.NEWS, news)

    tell_otherwise()
    with watching(web, receipt.ticket) as watcher, watching(web, other.ticket) as neighbour:
        execution.log(Level.INFO, "1")
        watcher.until("log_message")
        tell_otherwise()
        claimed(tickets, other).log(Level.INFO, "begun")
        execution.log(Level.INFO, "2")
        watcher.until("log_message")
        assert watcher.lines == ["INFO: 1", "INFO: 2"]
        assert neighbour.next()[1] == ["The task is queued, please wait..."]
        assert neighbour.next()[1] == ["INFO: begun"]


def test_progress_is_the_newest_and_has_no_id(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    file = FileProgress("m", "Core", "core.7z", Stage.DOWNLOADING, 42, 100, 7)
    for fraction in (0.1, 0.2):
        execution.progress(Snapshot(fraction, (file,)))
    with watching(web, receipt.ticket) as watcher:
        assert watcher.next() == ["progress", [0.2, " 42% core.7z"]]
        name, [shown] = watcher.next()
        assert name == "file"
        place = {"mod": "m", "package": "Core", "file": "core.7z"}
        assert shown == {**place, "stage": "downloading", "done": 42, "total": 100, "rate": 7}
        execution.progress(Snapshot(0.3, ()))
        assert watcher.next() == ["progress", [0.3, ""]]
        execution.finished(file)
        assert watcher.next()[0] == "file"


def test_the_archives_are_told_before_the_first_begins(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    execution.planned([FileProgress("m", "Core", name, Stage.WAITING) for name in ("a.7z", "b.7z")])
    with watching(web, receipt.ticket) as watcher:
        name, [files], _id = watcher.next()
        assert name == "files"
        assert files == [{"mod": "m", "package": "Core", "file": name} for name in ("a.7z", "b.7z")]


def test_a_captcha_goes_both_ways(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    answers: list[str | None] = []
    with watching(web, receipt.ticket, "inter") as early, watching(web, receipt.ticket) as reader:
        asking = threading.Thread(target=lambda: answers.append(execution.ask("https://host.example/c.png")))
        asking.start()
        assert early.until("captcha") == ["captcha", ["https://host.example/c.png"]]
        with watching(web, receipt.ticket, "inter") as late:
            assert late.until("captcha")[1] == ["https://host.example/c.png"]
            reader.say(["captcha_response", ["from somebody who may only read"]])
            for nonsense in (
                "{",
                "5",
                "[]",
                '["captcha_response"]',
                '["captcha_response", 5]',
                '["x", []]',
                "[" * 5000,
            ):
                late.say(nonsense)
            late.say(["user_ready", []])
            late.say(["captcha_response", ["xyzzy"]])
            asking.join(10)
        assert early.until("captcha_over") == ["captcha_over", []]
    assert answers == ["xyzzy"]
    assert "captcha" not in {message[0] for message in reader.messages}


def test_a_watcher_is_quick(web: Checkout, tickets: Tickets, receipt: Receipt, execution: Execution) -> None:
    """A new watcher must not have to wait until the reader's blocking read ends by itself."""
    other = tickets.create("{}", title="other")
    with watching(web, other.ticket) as first:
        first.next()
        with watching(web, receipt.ticket) as watcher:
            watcher.connection.settimeout(3)
            execution.log(Level.INFO, "now")
            assert watcher.next()[1] == ["INFO: now"]


def test_a_broken_connection_to_redis_costs_watchers_nothing(
    web: Checkout, tickets: Tickets, receipt: Receipt, execution: Execution
) -> None:
    with watching(web, receipt.ticket) as watcher:
        for number in range(3):
            execution.log(Level.INFO, str(number))
            watcher.next()
        tickets.client.client_kill_filter(_type="pubsub")
        execution.log(Level.INFO, "3")
        execution.finish(Outcome("{}"))
        watcher.until("done")
        assert watcher.lines == [f"INFO: {number}" for number in range(4)]


def handshake(web: Checkout, *lines: str, line: str = "GET /ws/watcher/5 HTTP/1.1", host: str = "x") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=10)
    connection.sendall("\r\n".join([line, f"Host: {host}", *lines, "", ""]).encode())
    return connection


GOOD = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        *[
            ((*GOOD[:3], f"Sec-WebSocket-Key: {key}"), 400)
            for key in ("x", "!!!", "A" * 100, "", "dGhlIHNhbXBsZSBub25jZQ")
        ],
        (GOOD[:3], 400),
        ((GOOD[0], *GOOD[2:]), 400),
        ((GOOD[0], "Connection: keep-alive", *GOOD[2:]), 400),
        ((*GOOD[:2], GOOD[3]), 426),
        *[((*GOOD[:2], f"Sec-WebSocket-Version: {version}", GOOD[3]), 426) for version in ("8", "14", "mark9")],
    ],
)
def test_a_bad_handshake_is_answered_cleanly(web: Checkout, lines: tuple[str, ...], status: int) -> None:
    with handshake(web, *lines) as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nSec-WebSocket-Version: 13\r\n" in answer) == (status == 426)
    assert b"nosniff" in answer
    assert b"mark9" not in answer


@pytest.mark.parametrize(
    "line", ["POST /ws/watcher/5 HTTP/1.1", "GET /ws/watcher/5 HTTP/1.0", "PUT /ws/watcher/5 HTTP/1.1"]
)
def test_only_a_get_of_today_opens_a_websocket(web: Checkout, line: str) -> None:
    with handshake(web, *GOOD, line=line) as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_what_is_right_but_spelled_in_another_way_is_taken(web: Checkout, receipt: Receipt) -> None:
    lines = (
        "upgrade: WebSocket",
        "connection: keep-alive, UPGRADE",
        "sec-websocket-version: 13",
        GOOD[3].lower()[:18] + GOOD[3][18:],
    )
    with handshake(web, *lines, line=f"GET /ws/watcher/{receipt.ticket} HTTP/1.1") as connection:
        assert connection.recv(12) == b"HTTP/1.1 101"


@pytest.fixture(scope="module")
def choosy(valkey: str) -> Iterator[Checkout]:
    """A web process that only lets some sites watch, and holds few watchers, who have to be there."""
    limits = {"WATCHER_ORIGINS": ("https://Forum.example",), "WATCHERS_PER_ADDRESS": 2, "PING_INTERVAL": 0.2}
    with checkouts.checkout(REDIS=valkey, TRUSTED_PROXIES=("127.0.0.1",), **limits) as copy:
        copy.start_web()
        yield copy


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://forum.example", 101),
        ("http://own.example", 101),
        ("https://OWN.example", 101),
        (None, 101),
        ("http://forum.example", 403),
        ("https://forum.example.evil.example", 403),
        ("https://forum.example:8443", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("[", 403),
        ("http://[", 403),
        ("http://", 403),
    ],
)
def test_only_pages_of_chosen_sites_may_watch(
    choosy: Checkout, receipt: Receipt, origin: str | None, status: int
) -> None:
    lines = [] if origin is None else [f"Origin: {origin}"]
    line = f"GET /ws/watcher/{receipt.ticket} HTTP/1.1"
    with handshake(choosy, *GOOD, *lines, line=line, host="own.example") as connection:
        assert connection.recv(12) == b"HTTP/1.1 %d" % status


def test_pages_of_all_sites_may_watch_unless_the_operator_chooses(web: Checkout, receipt: Receipt) -> None:
    line = f"GET /ws/watcher/{receipt.ticket} HTTP/1.1"
    with handshake(web, *GOOD, "Origin: https://any.example", line=line) as connection:
        assert connection.recv(12) == b"HTTP/1.1 101"


def test_an_address_has_so_many_watchers(choosy: Checkout, receipt: Receipt) -> None:
    line = f"GET /ws/watcher/{receipt.ticket} HTTP/1.1"

    def watch(address: str) -> socket.socket:
        return handshake(choosy, *GOOD, f"X-Forwarded-For: {address}", line=line)

    with watch("192.0.2.1") as first, watch("192.0.2.1") as second, watch("192.0.2.1") as third:
        assert [one.recv(12) for one in (first, second, third)] == [b"HTTP/1.1 101", b"HTTP/1.1 101", b"HTTP/1.1 429"]
        with watch("192.0.2.2") as other:
            assert other.recv(12) == b"HTTP/1.1 101"

    def has_room() -> bool:
        with watch("192.0.2.1") as again:
            return again.recv(12) == b"HTTP/1.1 101"

    wait_until(has_room, "the seats of who has left are free")


def test_a_peer_that_answers_no_ping_is_sent_away(choosy: Checkout, receipt: Receipt) -> None:
    line = f"GET /ws/watcher/{receipt.ticket} HTTP/1.1"
    with handshake(choosy, *GOOD, line=line) as connection:
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 101")
    assert b"\x89\x00" in received, "it was asked"


def test_a_peer_that_answers_pings_stays(choosy: Checkout, receipt: Receipt, execution: Execution) -> None:
    connection = websocket.create_connection(f"ws://127.0.0.1:{choosy.port}/ws/watcher/{receipt.ticket}", timeout=10)
    for _ in range(10):
        while connection.recv_data(control_frame=True)[0] != websocket.ABNF.OPCODE_PING:
            pass
    execution.log(Level.INFO, "still here")
    while b"still here" not in connection.recv_data(control_frame=True)[1]:
        pass
    connection.close()


def test_a_plain_request_is_told_to_upgrade(web: Checkout) -> None:
    with handshake(web) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 426 ")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02hi", 1002),
        (b"\xf1\x82\x00\x00\x00\x00hi", 1002),
        (b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4), 1009),
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),
        (b"\x82\x82\x00\x00\x00\x00hi", 1003),
        (b"\x80\x82\x00\x00\x00\x00hi", 1002),
        (b"\x01\x82\x00\x00\x00\x00hi\x81\x82\x00\x00\x00\x00hi", 1002),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
        (b"\x8b\x80\x00\x00\x00\x00", 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        (b"\x89\xfe\x01\x00\x00\x00\x00\x00", 1002),
        (b"\x01\x80\x00\x00\x00\x00" + (b"\x00\xfe\x40\x00" + bytes(4) + b"x" * 2**14) * 5, 1009),
        (b"\x88\x80\x00\x00\x00\x00", 1000),
    ],
)
def test_bad_frames_end_in_a_clean_close(
    web: Checkout, receipt: Receipt, execution: Execution, frame: bytes, code: int
) -> None:
    with watching(web, receipt.ticket, "inter") as watcher:
        raw = watcher.connection.sock
        raw.sendall(frame)
        answer = raw.recv(100)
        assert answer == b"\x88\x02" + code.to_bytes(2, "big")
        assert raw.recv(100) == b""


def test_a_message_may_come_in_pieces(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    """Also in thousands of empty ones, with pings between them."""
    answers: list[str | None] = []
    with watching(web, receipt.ticket, "inter") as watcher:
        asking = threading.Thread(target=lambda: answers.append(execution.ask("https://host.example/c.png")))
        asking.start()
        watcher.until("captcha")
        message, mask = '["captcha_response", ["schön"]]'.encode(), b"\x01\x02\x03\x04"
        pieces = [message[:24], *[b""] * 5000, message[24:27], message[27:]]
        for number, piece in enumerate(pieces):
            opcode = (number == 0) | (0x80 if number == len(pieces) - 1 else 0)
            masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(piece))
            ping = b"\x89\x80" + mask if number in (1, 5001) else b""
            watcher.connection.sock.sendall(bytes([opcode, 0x80 | len(piece)]) + mask + masked + ping)
        asking.join(10)
    assert answers == ["schön"]


def test_a_ping_is_answered(web: Checkout, receipt: Receipt, execution: Execution) -> None:
    with watching(web, receipt.ticket) as watcher:
        watcher.connection.ping(b"are you there")
        opcode, data = watcher.connection.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"are you there")


def test_a_reader_that_is_too_slow_is_sent_away_and_comes_back(
    web: Checkout, receipt: Receipt, execution: Execution
) -> None:
    slow = socket.create_connection(("127.0.0.1", web.port), timeout=10)
    slow.sendall("\r\n".join([f"GET /ws/watcher/{receipt.ticket} HTTP/1.1", "Host: x", *GOOD, "", ""]).encode())
    assert slow.recv(12) == b"HTTP/1.1 101"
    for number in range(6000):
        execution.log(Level.INFO, f"{number} " + "x" * 3000)
    received = 0
    while part := slow.recv(65536):
        received += len(part)
    assert received < 6000 * 3000
    slow.close()
    with watching(web, receipt.ticket) as patient:
        execution.finish(Outcome("{}"))
        patient.until("done")
        assert len(patient.lines) == MAX_LOG_LINES + 1


def test_nothing_that_clients_do_is_a_traceback(web: Checkout) -> None:
    logs = web.logs()
    assert "Traceback" not in logs, logs[logs.index("Traceback") - 500 :][:4000]


def test_the_feed_forgets_who_has_left(web: Checkout, tickets: Tickets, receipt: Receipt, execution: Execution) -> None:
    with watching(web, receipt.ticket):
        pass
    execution.finish(Outcome("{}"))
    wait_until(lambda: tickets.get(receipt.ticket), "the ticket is there")
    with watching(web, receipt.ticket) as watcher:
        assert watcher.next()[0] == "done"
