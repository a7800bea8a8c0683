"""What processes write to standard error: one JSON object a line, whatever happens, and nothing secret in it."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from knossosd.settings import CHECKOUT

BEGIN = """
import logging, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
from knossosd import logs
logs.set_up("test")
log = logging.getLogger("knossosd.test")
"""


def said(script: str, **environment: str) -> list[dict[str, Any]]:
    """The lines of a process that does what the script says."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", **environment},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_says_when_how_grave_who_and_what() -> None:
    [line] = said("log.warning('the disk of %s is full', 'somebody')")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "level": "WARNING",
        "logger": "knossosd.test",
        "message": "the disk of somebody is full",
        "process": "test",
    }


def test_what_is_less_than_information_is_not_written() -> None:
    assert said("log.debug('x')") == []


def test_odd_headers_of_a_host_are_not_written() -> None:
    script = """
from knossosd.conversion.guard import Guard
from knossosd.conversion.http import WebClient
from tests import hosts
with hosts.running_host() as host:
    link = host.link("/", hosts.says_raw(b"HTTP/1.1 200 OK\\r\\nX Y: z\\r\\n\\r\\n"))
    with WebClient(Guard(["127.0.0.1"]), 5, 5, 0).request("GET", link) as answer:
        log.info("status %d", answer.status)
"""
    assert [line["message"] for line in said(script)] == ["status 200"]


def test_the_supervisor_knows_the_process_by_its_own_name() -> None:
    assert said("log.info('x')", SUPERVISOR_PROCESS_NAME="web_3")[0]["process"] == "web_3"


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_many_lines_and_strange_letters_are_one_line(locale: str) -> None:
    script = r"log.info('a\nb\r\u2028 \xc4 \U0001f600 \udc80 \x1b[31m')"
    [line] = said(script, LC_ALL=locale, PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert line["message"] == "a\nb\r\u2028 Ä 😀 \udc80 \x1b[31m"


def test_a_trace_is_a_field() -> None:
    [line] = said("try:\n  1 / 0\nexcept ZeroDivisionError:\n  log.exception('failed')")
    assert line["message"] == "failed"
    assert line["trace"].startswith("Traceback")
    assert line["trace"].endswith("ZeroDivisionError: division by zero")


def test_what_nobody_caught_is_a_line_too() -> None:
    [thread, main] = said("t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join(); {}['x']")
    for line, name in ((thread, "ZeroDivisionError"), (main, "KeyError")):
        assert (line["level"], name in line["trace"]) == ("CRITICAL", True)


def test_warnings_are_lines() -> None:
    [line] = said("warnings.warn('WS_LISTEN is ignored')")
    assert "WS_LISTEN is ignored" in line["message"]


def test_a_library_with_a_handler_of_its_own_does_as_we_do() -> None:
    script = "huey = logging.getLogger('huey'); huey.addHandler(logging.StreamHandler()); logs.set_up('worker')\n"
    [line] = said(script + "logging.getLogger('huey.consumer').info('x')")
    assert (line["logger"], line["process"]) == ("huey.consumer", "worker")


def test_what_is_said_about_a_ticket_has_its_number() -> None:
    script = """
log.info("before")
with logs.about(0):
    log.info("within")
    threading.Thread(target=log.info, args=["another thread"]).start()
log.info("after")
"""
    assert [line.get("ticket") for line in said(script)] == [None, 0, None, None]


def test_a_process_that_does_one_ticket_says_so_in_every_thread() -> None:
    script = """
pool = ThreadPoolExecutor(2)
pool.submit(log.info, "thread that is there before").result()
for number in (5, 6):
    with logs.devoted_to(number):
        log.info("main")
        pool.submit(log.info, "thread").result()
        logging.getLogger("urllib3").warning("library")
pool.submit(log.info, "idle").result()
"""
    assert [line.get("ticket") for line in said(script)] == [None, 5, 5, 5, 6, 6, 6, None]


def test_a_line_that_names_a_ticket_is_about_it() -> None:
    script = """
log.info("the worker of ticket %d vanished", 7)
with logs.about(5):
    log.info("waits for ticket %d", 7)
log.info("1 tickets, a ticket 12345678901234567890, ticket x")
"""
    assert [line.get("ticket") for line in said(script)] == [7, 5, None]


@pytest.mark.parametrize(
    ("said_so", "written"),
    [
        ("GET /ws/watcher/5?after=1-0 HTTP/1.1", "GET /ws/watcher/5?… HTTP/1.1"),
        ("POST /drop/176/SeCrEt/0 HTTP/1.1", "POST /drop/176/…/0 HTTP/1.1"),
        ("from https://host.example/a.7z?sig=SeCrEt, next", "from https://host.example/a.7z?… next"),
        ("redis://user:SeCrEt@host:6379/0", "redis://…@host:6379/0"),
        ("Authorization: Bearer SeCrEtSeCrEt1234", "Authorization: Bearer …"),
        ("HSET knossosd:ticket:5 title x token SeCrEtSeCrEtSeCrEtSeCrEtSeCrEt webhook", "token … webhook"),
        ("{'passwd': 'SeCrEtSeCrEt', 'data': '{}'}", "{'passwd': '…', 'data': '{}'}"),
        ("the key my-SeCrEt-key of theirs", "the key … of theirs"),
        ("Is another server running there? Try again.", "Is another server running there? Try again."),
    ],
)
def test_secrets_are_not_written(said_so: str, written: str) -> None:
    script = f"logs.hide(['my-SeCrEt-key', '']); log.info({said_so!r})\n"
    script += f"try:\n  raise ValueError({said_so!r})\nexcept ValueError:\n  log.exception('failed')"
    message, trace = said(script)
    assert written in message["message"]
    assert written in trace["trace"].splitlines()[-1]
    assert "SeCrEt" not in message["message"]
    assert "SeCrEt" not in trace["trace"].splitlines()[-1]


@pytest.mark.parametrize("text", ["/" * 10**6, "token:" * 10**5, "a://" * 10**5, "/drop/1/" * 10**5, "?" * 10**6])
def test_no_text_takes_long_to_clean(text: str) -> None:
    """It would hold up the whole web process; the test's time limit is what fails."""
    [line] = said(f"log.info({text[:8]!r} * {len(text) // len(text[:8])})")
    assert line["message"]


def test_what_is_very_long_keeps_its_beginning_and_its_end() -> None:
    [line] = said("log.info('begin ' + 'x' * 1_000_000 + ' end')")
    assert len(line["message"]) < 21_000
    assert line["message"].startswith("begin x")
    assert line["message"].endswith("x end")
    assert "characters left out" in line["message"]


@pytest.mark.parametrize("letter", ["ж", "😀", "\x00", "\udc80", '"'])
def test_a_line_fits_into_the_pipe_whatever_it_consists_of(letter: str) -> None:
    [line] = said(f"try:\n  raise ValueError({letter!r} * 30_000)\nexcept ValueError as e:\n  log.exception('%s', e)")
    assert len(json.dumps(line)) < 2 * 21_000
    assert line["message"].startswith(letter)
    assert line["message"].endswith(letter)
    assert "characters left out" in line["message"]


def test_what_cannot_be_written_is_told_in_a_line() -> None:
    [line] = said("log.error('%d things', 'many')")
    assert line["level"] == "ERROR"
    assert line["message"].startswith("a line that cannot be written, of <string>:")


def test_what_a_destructor_lets_out_is_a_line() -> None:
    [line] = said("class It:\n  def __del__(self):\n    1 / 0\nit = It()\ndel it")
    assert "ZeroDivisionError" in line["trace"]
