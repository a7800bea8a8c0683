"""Reading the logs of all programs together."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knossosd.cli.logs import LINES, Wanted, show
from knossosd.settings import CHECKOUT
from tests.checkouts import wait_until

EVERYTHING = Wanted(None, logging.DEBUG)


def ours(second: float, message: str = "x", *, level: str = "INFO", process: str = "worker", **more: Any) -> str:
    when = f"2026-11-24T21:00:{second:06.3f}Z"
    line = {"time": when, "level": level, "logger": "knossosd.tasks", "message": message, "process": process, "pid": 7}
    return json.dumps({**line, **more}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


@pytest.fixture
def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def shown(wanted: Wanted = EVERYTHING, lines: int | None = None) -> list[str]:
        show(folder, wanted, lines=lines, follow=False)
        return capsys.readouterr().out.splitlines()

    return shown


@pytest.fixture
def berlin() -> Iterator[None]:
    """Local time is one hour ahead."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def test_a_line_is_readable(folder: Path, shown: Any) -> None:
    (folder / "worker.log").write_text(ours(1.5, "it fails", level="ERROR", ticket=5, trace="Traceback\n  boom"))
    assert shown() == [
        "2026-11-24 21:00:01.500  ERROR     worker[7]  ticket 5  knossosd.tasks: it fails",
        "    Traceback",
        "      boom",
    ]


def test_the_files_are_merged_in_order_of_time(folder: Path, shown: Any) -> None:
    (folder / "web_0.log").write_text(ours(1, "a") + ours(4, "d"))
    (folder / "worker.log").write_text(ours(2, "b") + ours(3, "c") + ours(5, "e"))
    assert [line[-1] for line in shown()] == list("abcde")


@pytest.mark.usefixtures("berlin")
def test_valkey_and_supervisord_have_their_place(folder: Path, shown: Any) -> None:
    (folder / "worker.log").write_text(ours(1) + ours(5))
    (folder / "redis.log").write_text(
        ours(2, "starting", process="redis")
        + "123:M 24 Nov 2026 22:00:03.250 # Out of memory\n      banner\n"
        + "123:M 24 Nov 2026 22:00:06.000 * Ready\n"
    )
    (folder / "supervisord.log").write_text("2026-11-24 22:00:04,125 CRIT Supervisor is running as root\n")
    assert [line.removeprefix("2026-11-24").strip() for line in shown()] == [
        "21:00:01.000  INFO      worker[7]  knossosd.tasks: x",
        "21:00:02.000  INFO      redis[7]  knossosd.tasks: starting",
        "21:00:03.250  WARNING   redis  Out of memory",
        "banner",
        "21:00:04.125  CRITICAL  supervisord  Supervisor is running as root",
        "21:00:05.000  INFO      worker[7]  knossosd.tasks: x",
        "21:00:06.000  INFO      redis  Ready",
    ]


def test_an_interpreter_s_last_words_stand_where_they_stood(folder: Path, shown: Any) -> None:
    last_words = "Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n"
    (folder / "worker.log").write_text(ours(1) + last_words + ours(3))
    (folder / "web_0.log").write_text(ours(2))
    assert shown(Wanted(None, logging.WARNING)) == [
        "2026-11-24 21:00:01.000  WARNING   worker  Fatal Python error: Segmentation fault",
        "    Thread 0x1 (most recent call first):",
    ]
    assert [line.split()[1] for line in shown() if line[0] == "2"] == [
        "21:00:01.000", "21:00:01.000", "21:00:02.000", "21:00:03.000"
    ]  # fmt: skip


def test_words_before_all_times_are_not_lost(folder: Path, shown: Any) -> None:
    (folder / "a.log").write_text("Error importing x\n" + ours(9))
    (folder / "b.log").write_text("Error importing y\n")
    (folder / "c.log").write_text(ours(1))
    os.utime(folder / "b.log", (1795554005, 1795554005))  # 21:00:05
    assert [line[11:23] for line in shown()] == ["21:00:01.000", "21:00:05.000", "21:00:09.000", "21:00:09.000"]


def test_rotated_files_are_one(folder: Path, shown: Any) -> None:
    whole = "".join(ours(number, str(number)) for number in range(40))
    middle = whole.index('"message": "20"')  # supervisord cuts lines
    (folder / "worker.log.10").write_text(whole[:1000])
    (folder / "worker.log.2").write_text(whole[1000:middle])
    (folder / "worker.log.1").write_text(whole[middle:-500])
    (folder / "worker.log").write_text(whole[-500:])
    assert [line.rpartition(" ")[2] for line in shown()] == [str(number) for number in range(40)]


def test_only_what_is_about_a_ticket(folder: Path, shown: Any) -> None:
    about = "".join(ours(1, str(number), ticket=number % 2) for number in range(2 * LINES + 2))
    (folder / "worker.log").write_text(about + ours(2) + "plain\n")
    assert len(shown(Wanted(1, logging.DEBUG))) == LINES + 1, "all of a ticket is shown"
    assert len(shown(Wanted(0, logging.ERROR))) == 0


def test_only_what_is_grave_enough(folder: Path, shown: Any) -> None:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    (folder / "worker.log").write_text("".join(ours(1, level, level=level) for level in levels))
    found = [line.rpartition(" ")[2] for line in shown(Wanted(None, logging.WARNING))]
    assert found == ["WARNING", "ERROR", "CRITICAL"]


def test_only_the_newest(folder: Path, shown: Any) -> None:
    (folder / "worker.log").write_text("".join(ours(1, str(number)) for number in range(LINES + 5)))
    assert len(shown()) == LINES
    assert [line.rpartition(" ")[2] for line in shown(lines=2)] == [str(LINES + 3), str(LINES + 4)]
    assert shown(lines=0) == []


def test_a_clock_that_was_set_back_does_not_change_the_order(folder: Path, shown: Any) -> None:
    (folder / "worker.log").write_text(ours(50, "a") + ours(1, "b") + ours(51, "c"))
    assert [line[11:23] + line[-1] for line in shown()] == ["21:00:50.000a", "21:00:01.000b", "21:00:51.000c"]


def test_nothing_reaches_the_terminal_that_steers_it(folder: Path, shown: Any) -> None:
    (folder / "worker.log").write_text(ours(1, "\x1b]0;evil\x07 \u202e \udc80 ok\nx"))
    assert shown()[0].endswith(r"\x1b]0;evil\x07 \x202e \xdc80 ok")


def test_what_looks_like_ours_and_is_not_is_shown_as_it_is(folder: Path, shown: Any) -> None:
    for line in ('{"time": 5}', "{", "[]", '{"time": "x", "level": "INFO", "logger": "", "message": ""}'):
        (folder / "worker.log").write_text(line + "\n")
        assert shown()[0].endswith(f"WARNING   worker  {line}")


def test_following(folder: Path) -> None:
    worker = folder / "worker.log"
    worker.write_text(ours(1, "before"))
    script = f"from pathlib import Path; from knossosd.cli.logs import *; show(Path({str(folder)!r}), "
    command = [sys.executable, "-uc", script + "Wanted(None, 20), lines=None, follow=True)"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "before" in process.stdout.readline()
            with worker.open("a") as file:
                file.write(ours(2, "half")[:30])
                file.flush()
                file.write(ours(2, "half")[30:])
            assert "half" in process.stdout.readline()
            with worker.open("a") as file:
                file.write(ours(3, "the last before it is rotated"))
            worker.rename(folder / "worker.log.1")
            worker.write_text(ours(4, "the first after"))
            (folder / "web_0.log").write_text(ours(5, "a new program"))
            for words in ("the last", "the first", "a new"):
                assert words in process.stdout.readline()
            worker.write_text("")
            wait_until(lambda: worker.stat().st_size == 0, "it is empty")
            worker.write_text(ours(6, "e"))
            assert "tasks: e" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
