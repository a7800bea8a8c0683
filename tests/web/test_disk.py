"""A disk that hangs: nobody waits for it for long, and nothing else stands still."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import checkouts
from tests.checkouts import Checkout, a_document
from tests.web.test_drop import MAGIC, drop, multipart
from tests.web.test_ops import readiness

HANGS = """
import os, runpy, shutil, sys
from pathlib import Path

real, stat = shutil.disk_usage, os.stat

def disk_usage(path):
    Path("looks").open("a").write("x")
    open("hung").close()
    return real(path)

def look(path, **options):
    if str(path).endswith("far.7z"):
        open("hung").close()
    return stat(path, **options)

shutil.disk_usage, os.stat = disk_usage, look
sys.argv = ["knossosd.py", "serve"]
runpy.run_path("knossosd.py", run_name="__main__")
"""
"""A web process whose disk says how much is free, and what a file is, when somebody writes into a pipe."""

MANY = 12
"""More than gevent has threads for disks."""


@pytest.fixture
def hung(valkey: str) -> Iterator[Checkout]:
    """A web process whose disk hangs as long as its file `hung` is there."""
    with checkouts.checkout(REDIS=valkey) as copy:
        os.mkfifo(copy.folder / "hung")
        with (copy.folder / "web.log").open("w") as log:
            copy.start(sys.executable, "-c", HANGS, stdout=log, stderr=log)
        copy.wait_until_ready()
        yield copy
        release(copy.folder / "hung")


def release(pipe: Path) -> None:
    """The disk answers, and goes on doing so."""
    if pipe.is_fifo():
        waiting = pipe.rename(pipe.with_name("pipe"))
        pipe.touch()
        waiting.open("w").close()


def at_once(ask: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(MANY) as threads:
        return [asked.result() for asked in [threads.submit(ask) for _ in range(MANY)]]


def test_a_disk_that_hangs_has_no_room_and_costs_one_thread(hung: Checkout) -> None:
    def submit() -> tuple[int, bool]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            hung.submit(a_document("https://host.example/a.7z"))
        return caught.value.code, int(caught.value.headers["Retry-After"]) > 0

    assert at_once(submit) == [(503, True)] * MANY
    assert {status for status, *_ in at_once(lambda: drop(hung, multipart(b"x")))} == {507}
    status, told = readiness(hung)
    assert (status, told["checks"]["disk"]) == (503, {"ok": False, "free": None})
    assert (hung.folder / "looks").read_text() == "x"
    assert hung.get("/healthz") == {"alive": True}


def test_a_disk_that_hung_is_asked_again(hung: Checkout) -> None:
    assert readiness(hung)[1]["checks"]["disk"]["free"] is None
    release(hung.folder / "hung")
    checkouts.wait_until(lambda: readiness(hung)[1]["checks"]["disk"]["ok"], "the disk answers")
    ticket, _ = hung.submit(a_document("https://host.example/a.7z"))
    assert hung.state(ticket) == "WAITING"
    assert drop(hung, multipart(MAGIC))[1]["error"] is False


def test_a_download_from_a_disk_that_hangs_holds_nobody_up(hung: Checkout) -> None:
    mirror = hung.folder / "var" / "mirror"
    mirror.mkdir(exist_ok=True)
    (mirror / "far.7z").write_bytes(MAGIC)
    with ThreadPoolExecutor(1) as thread:
        download = thread.submit(urllib.request.urlopen, f"{hung.url}/mirror/far.7z", timeout=30)
        assert {json.dumps(answer) for answer in at_once(lambda: hung.get("/healthz"))} == {'{"alive": true}'}
        assert not download.done()
        release(hung.folder / "hung")
        assert download.result().read() == MAGIC
