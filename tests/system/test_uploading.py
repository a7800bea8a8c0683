"""Large uploads, with everything that takes part in them."""

import hashlib
import random
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.checkouts import KEY, Checkout, wait_until
from tests.system.test_upkeep import ask_for
from tests.web.test_chunked import Client
from tests.web.test_drop import MAGIC

LARGE = 70 * 1024 * 1024
KILLED = 4
UPKEEP = "knossosd.tasks.upkeep"

SETTLED = 4.0
"""Seconds of life after which the supervisor does not give up a program that ends, whose `startsecs` are 2."""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An archive, for all that an upload looks at, that is sent in parts."""
    path = tmp_path / "large.7z"
    path.write_bytes(MAGIC + random.Random(1).randbytes(LARGE))
    return path


def parts_sent(installation: Checkout) -> int:
    return installation.logs().count("/parts/")


def test_a_large_file_is_uploaded_at_the_command_line_and_sent_once(installation: Checkout, large: Path) -> None:
    call = ("upload", str(large), "--key", KEY, "--server", installation.url, "--quiet")
    done = installation.verb(*call)
    assert done.returncode == 0, done.stderr
    link = done.stdout.strip()
    assert link == f"{installation.url}/mirror/uploads/{hashlib.sha256(large.read_bytes()).hexdigest()}"
    with urllib.request.urlopen(link, timeout=20) as response:
        assert response.read() == large.read_bytes()
    sent = parts_sent(installation)
    assert installation.verb(*call).stdout.strip() == link
    assert parts_sent(installation) == sent > 0


def test_an_upload_goes_on_where_it_was_when_the_web_process_is_killed(own_installation: Checkout, large: Path) -> None:
    call = ("knossosd.py", "upload", str(large), "--key", KEY, "--server", own_installation.url, "--quiet")
    uploading = own_installation.start(sys.executable, *call, stdout=-1, text=True)
    wait_until(lambda: parts_sent(own_installation) > 1, "some parts were sent")
    kill(own_installation, "serve")
    link, _ = uploading.communicate(timeout=60)
    assert uploading.returncode == 0
    with urllib.request.urlopen(link.strip(), timeout=20) as response:
        assert response.read() == large.read_bytes()


def test_uploads_are_finished_although_upkeep_is_killed_over_them(own_installation: Checkout) -> None:
    """At whatever moment it is killed: its messages may be lost, what is to be finished is not."""
    clients = []
    for number in range(KILLED):
        client = Client(own_installation)
        content = MAGIC + random.Random(number).randbytes(30_000_000)
        upload = client.begin(content)
        for part in range(upload["parts"]):
            assert client.send(upload, part, content)[0] == 200
        wait_until(lambda: is_settled(own_installation, UPKEEP), "the supervisor takes it for started")
        assert client.ask("POST", f"/{upload['id']}/finish")[1]["state"] in ("FINISHING", "DONE")
        time.sleep(number / 20)
        kill(own_installation, UPKEEP)
        clients.append((client, upload, hashlib.sha256(content).hexdigest()))
    for client, upload, sha256 in clients:

        def is_done(client: Client = client, path: str = f"/{upload['id']}") -> bool:
            return bool(client.ask("GET", path)[1]["state"] == "DONE")

        if not is_done():
            ask_for(own_installation, "look_after_uploads")
        wait_until(is_done, "the upload is finished")
        assert client.ask("GET", f"/{upload['id']}")[1]["sha256"] == sha256
    parts = own_installation.folder / "var" / "mirror" / ".parts"
    assert list(parts.iterdir()) == []


def kill(installation: Checkout, word: str) -> None:
    """Kill the processes of the installation with this word in their call, and wait until there are others."""
    found = wait_until(lambda: running(installation, word), f"{word} runs")
    for process in found.values():
        process.kill()
    wait_until(lambda: running(installation, word).keys() - found.keys(), f"{word} runs again")


def is_settled(installation: Checkout, word: str) -> bool:
    """Whether each process with this word in its call has lived for a while."""
    found = running(installation, word)
    return bool(found) and all(time.time() - process.create_time() > SETTLED for process in found.values())


def running(installation: Checkout, word: str) -> dict[int, psutil.Process]:
    """The processes of the installation with this word in their call, by their ids."""
    found = {}
    for process in installation.processes():
        with suppress(psutil.Error):  # it has just ended
            if word in process.cmdline():
                found[process.pid] = process
    return found
