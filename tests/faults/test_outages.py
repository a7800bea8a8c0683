"""What stands still, is full, or tells the wrong time: nothing is lost, and every ticket ends with a plain reason."""

import os
import signal
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from knossosd.tickets import keys
from knossosd.tickets.workers import living
from tests import archives, checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.faults.storm import SETTINGS, Storm
from tests.faults.verdict import verify
from tests.hosts import Host

pytestmark = pytest.mark.timeout(300)

OUTAGE = 30.0


def test_valkey_stands_still_for_half_a_minute(a_storm: Storm) -> None:
    a_storm.submit(10)
    a_storm.kill("valkey", signal.SIGSTOP)
    assert a_storm.kills["valkey"]
    threading.Event().wait(OUTAGE)
    a_storm.kill("valkey", signal.SIGCONT)
    a_storm.submit(10)
    a_storm.settle()
    verify(a_storm)


def test_valkey_is_away_for_half_a_minute(a_storm: Storm, installation: Checkout) -> None:
    a_storm.submit(10)
    [valkey] = a_storm.processes()["valkey"]
    stopping = installation.start("supervisorctl", "-c", "supervisord.conf", "stop", "redis")
    wait_until(lambda: not valkey.is_running(), "Valkey has left")
    threading.Event().wait(OUTAGE)
    assert stopping.wait(30) == 0
    installation.supervisorctl("start", "redis")
    a_storm.submit(10)
    a_storm.settle()
    verify(a_storm)


def test_a_clock_that_jumps_ends_no_young_ticket(a_storm: Storm, installation: Checkout) -> None:
    """The clock of the host that upkeep runs on; every lifetime is judged by the clock of Redis."""
    installation.supervisorctl("stop", "worker")
    a_storm.submit(5)
    for days in (2, -2):
        jump = f"import time; real = time.time; time.time = lambda: real() + {days} * 86400"
        tend = "from knossosd import tasks; tasks.look_after_tickets.call_local(); tasks.sweep.call_local()"
        assert installation.run(sys.executable, "-c", f"{jump}; {tend}").returncode == 0
    assert len(a_storm.open()) == 5
    installation.supervisorctl("start", "worker")
    a_storm.settle()
    verify(a_storm)


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A file system of this size in the folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = f"size={size},mode=700"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode:
        pytest.skip("file systems can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave not a byte free; returns the file that has it all."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def test_a_full_mirror_is_told_and_what_failed_goes_on_when_there_is_room(tmp_path: Path, host: Host) -> None:
    archive = archives.make_zip(tmp_path / "a.zip", {"mod.ini": os.urandom(3_000_000)}).read_bytes()
    link = host.link("/a.zip", hosts.serves(archive))
    mirror = tmp_path / "small"
    with (
        small_disk(mirror),
        checkouts.checkout(**SETTINGS, MIRROR_PATH=str(mirror), MIN_FREE_DISK=0) as copy,
    ):
        ballast = mirror / "ballast"
        ballast.write_bytes(bytes(2_000_000))
        copy.start_supervisor()
        ticket, token = copy.submit(a_document(link))
        outcome = copy.outcome(ticket, token)
        assert [error["code"] for error in outcome["errors"]] == ["disk_full"]
        assert list((mirror / ".work").iterdir()) == []
        assert not list(mirror.glob("my_mod/*/*"))
        ballast.unlink()
        assert copy.verb("tickets", "retry", "--all").returncode == 0
        assert copy.outcome(ticket, token)["success"]


def test_a_full_temporary_folder_is_told_and_no_archive_is_blamed(
    tmp_path: Path, installation: Checkout, host: Host
) -> None:
    """What 7-Zip says of an archive goes there, such as that it has a password."""
    both_at_work = threading.Barrier(2, timeout=30)
    sample = archives.pack(tmp_path / "sample.7z", archives.SAMPLE).read_bytes()
    secret = archives.pack(tmp_path / "secret.7z", archives.SAMPLE, "-psecret", "-mhe=on").read_bytes()

    def serve_both(request: hosts.Request) -> None:
        both_at_work.wait()
        request.answer(200, sample)

    with small_disk(installation.temporary) as temporary:
        first = [installation.submit(a_document(host.link(f"/{name}.7z", serve_both), id=name)) for name in ("a", "b")]
        for ticket in first:  # now each worker has made up its mind where it is
            assert installation.outcome(*ticket)["success"]
        ballast = fill(temporary)
        ticket, token = installation.submit(a_document(host.link("/secret.7z", hosts.serves(secret)), id="c"))
        outcome = installation.outcome(ticket, token)
        assert [error["code"] for error in outcome["errors"]] == ["disk_full"]
        ballast.unlink()
        assert installation.verb("tickets", "retry", "--all").returncode == 0
        outcome = installation.outcome(ticket, token)
        assert [error["code"] for error in outcome["errors"]] == ["archive_encrypted"]


def test_valkey_cannot_write_its_file_for_a_while(host: Host, tmp_path: Path) -> None:
    """A conversion waits with what it has to tell and loses no attempt; what is known can be read; the rest is refused
    with the reason."""
    content = archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()
    quick = host.link("/core.7z", hosts.serves(content))
    slow, begun, hold = hosts.held(host, content)
    with checkouts.checkout(**SETTINGS) as copy, small_disk(copy.folder / "var" / "redis", "8m") as disk:
        copy.start_supervisor()
        done, token_of_done = copy.submit(a_document(quick))
        assert copy.outcome(done, token_of_done)["success"]
        ticket, token = copy.submit(a_document(slow, id="held"))
        assert begun.wait(30)
        with copy.redis() as client:
            ballast = fill(disk)
            wait_until(lambda: _refuses(client), "Valkey has noticed")
            hold.set()
            with pytest.raises(urllib.error.HTTPError) as refused:
                copy.submit(a_document(quick, id="refused"))
            assert (refused.value.code, refused.value.headers["Retry-After"]) == (503, "5")
            copy.supervisorctl("restart", "web:web_0")
            threading.Event().wait(OUTAGE)
            assert not copy.is_ready()
            assert copy.state(ticket) == "WORKING"
            assert copy.verb("tidy", "--dry-run").stderr == "", "Redis says which uploads are needed"
            assert copy.outcome(done, token_of_done)["success"], "whatever became of the connections meanwhile"
            assert str(ticket) in copy.verb("tickets", "list").stdout
            assert copy.verb("tickets", "cancel", str(ticket)).returncode == 3
            ballast.unlink()
        assert copy.outcome(ticket, token)["success"]
        status = copy.get(f"/api/converter/get_status/{ticket}")
        assert status["attempt"] == 1
        again, token_of_again = copy.submit(a_document(quick, id="again"))
        assert copy.outcome(again, token_of_again)["success"]
        wait_until(copy.is_ready, "all of it lives")


def test_a_worker_stops_when_it_must_though_redis_takes_nothing_in(
    installation: Checkout, a_storm: Storm, tmp_path: Path
) -> None:
    content = archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()
    link, begun, hold = hosts.held(a_storm.host, content)
    ticket, token = installation.submit(a_document(link))
    assert begun.wait(30)
    [pid] = [one.pid for one in living(a_storm.installation.redis()) if one.ticket == ticket]
    a_storm.installation.redis().config_set("maxmemory", 1)
    os.kill(pid, signal.SIGTERM)
    wait_until(
        lambda: f"ticket {ticket} goes on when upkeep has looked" in installation.logs(), "the worker has stopped"
    )
    a_storm.installation.redis().config_set("maxmemory", 0)
    hold.set()
    wait_until(lambda: not a_storm.installation.redis().exists(keys.lease(ticket)), "the lease has run out")
    a_storm.tend()
    assert installation.outcome(ticket, token)["success"]


def test_a_ticket_whose_document_is_gone_fails_with_that_reason(installation: Checkout, a_storm: Storm) -> None:
    installation.supervisorctl("stop", "worker")
    ticket, token = installation.submit(a_document("http://127.0.0.1/core.7z"))
    a_storm.installation.redis().delete(keys.document(ticket))
    installation.supervisorctl("start", "worker")
    [error] = installation.outcome(ticket, token)["errors"]
    assert (error["code"], error["message"]) == ("internal", "The server has lost the document.")


def _refuses(client: redis.Redis) -> bool:
    try:
        client.set("knossosd:filling", bytes(5000), px=100)
    except redis.ResponseError:
        return True
    return False


def test_a_running_conversion_is_cancelled_at_once_and_leaves_nothing(
    installation: Checkout, host: Host, a_storm: Storm
) -> None:
    """The host has gone silent, and would be waited for for a minute."""
    begun = threading.Event()

    def silent(request: hosts.Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        request.wfile.write(bytes(100_000))
        begun.set()
        request.server.stopping.wait(200)

    links = [host.link(f"/{number}.zip", silent) for number in range(3)]
    tickets = [installation.submit(a_document(link, id=f"mod_{number}")) for number, link in enumerate(links)]
    assert begun.wait(30)
    for ticket, token in tickets:
        answer: Any = installation.post("/api/converter/cancel", ticket=ticket, token=token)
        assert answer == {"cancelled": True, "found": True}
        outcome = installation.outcome(ticket, token)
        assert outcome["errors"][0]["code"] == "cancelled"
    work = installation.folder / "var" / "mirror" / ".work"
    wait_until(lambda: not any(work.glob("*")), "the work folder is empty", 5)
    a_storm.submit(4)  # the workers are free again
    wait_until(lambda: not a_storm.open(), "they have ended", 20)
    assert a_storm.installation.redis().zcard(keys.WORKING) == 0
