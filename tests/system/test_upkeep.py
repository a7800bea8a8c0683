"""What the upkeep consumer does by itself, asked for at once instead of at night."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from knossosd.conversion.digest import digest_file
from knossosd.conversion.store import Store
from knossosd.settings import load
from tests import archives, checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.conversion.mirrors import World, damage
from tests.hosts import Host, Request


@pytest.fixture
def mirror(own_installation: Checkout, host: Host, tmp_path: Path) -> World:
    """The installation's mirror, with one archive that a conversion published."""
    content = archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()
    outcome = own_installation.outcome(
        *own_installation.submit(a_document(host.link("/core.7z", hosts.serves(content))))
    )
    assert outcome["success"], outcome
    settings = load(own_installation.folder / "conf" / "settings.py")
    return World(settings.model_copy(update={"mirror_path": own_installation.folder / "var" / "mirror"}))


def ask_for(installation: Checkout, task: str) -> None:
    """Put a periodic task into the queue, as the consumer does when its time has come."""
    asked = installation.run(sys.executable, "-c", f"from knossosd import tasks; tasks.{task}()")
    assert asked.returncode == 0, asked.stderr


def logged(installation: Checkout, words: str) -> list[dict[str, Any]]:
    """The lines of the upkeep consumer with these words."""
    return [line for line in installation.log_lines("upkeep") if words in line["message"]]


def test_an_archive_that_is_damaged_later_is_repaired_at_night(own_installation: Checkout, mirror: World) -> None:
    [name] = mirror.mirror.names()
    content = name.read_bytes()
    [record] = mirror.mirror.ledger.all()
    assert record.names == ("my_mod/1.0.0/core.7z",)
    assert [url.rpartition("/")[2] for url in record.urls] == ["core.7z"]
    damage(name, b"rotten")
    ask_for(own_installation, "verify")
    [told] = wait_until(lambda: logged(own_installation, "my_mod/1.0.0/core.7z"), "the damage is told")
    assert told["level"] == "ERROR"
    assert "; repaired. It came from http" in told["message"]
    assert mirror.is_sound(content, name)
    ask_for(own_installation, "verify")
    wait_until(lambda: len(logged(own_installation, "verified 1 published files")) == 2, "it is verified again")
    assert [line for line in own_installation.log_lines("upkeep") if line["level"] == "ERROR"] == [told]


def test_a_consumer_that_is_stopped_does_not_wait_for_a_verification(
    own_installation: Checkout, mirror: World, host: Host
) -> None:
    """The host of the damaged archive drips; the consumer would be killed after its time."""
    [name] = mirror.mirror.names()
    begun = threading.Event()
    size = name.stat().st_size

    def drips(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(size))
        request.end_headers()
        begun.set()
        while not request.server.stopping.wait(0.5):
            request.wfile.write(b"x")

    host.link("/core.7z", drips)
    damage(name, b"rotten")
    ask_for(own_installation, "verify")
    assert begun.wait(30)
    own_installation.supervisorctl("stop", "upkeep")
    log = (own_installation.folder / "var" / "log" / "upkeep.log").read_text()
    assert "not repaired. There was no time for that." in log
    assert "All workers have stopped." in log
    assert list(mirror.settings.work_path.iterdir()) == []


def test_an_upload_that_nobody_used_goes_and_what_was_published_stays(tmp_path: Path) -> None:
    with checkouts.checkout(UPLOAD_LIFETIME=1, STORE_PROTECTION=0, CACHE_SIZE=1) as installation:
        installation.start_supervisor()
        uploads = installation.folder / "var" / "mirror" / "uploads"
        links = []
        for name in ("used", "unused"):
            content = archives.pack(tmp_path / f"{name}.7z", {"mod.ini": name.encode()})
            uploads.mkdir(parents=True, exist_ok=True)
            digest = digest_file(content)
            upload = content.rename(uploads / digest.sha256)
            Store(uploads.parent / ".store").keep(upload, digest)
            links.append(f"{installation.url}/mirror/uploads/{upload.name}")
        assert installation.outcome(*installation.submit(a_document(links[0])))["success"]
        unused = uploads / links[1].rpartition("/")[2]
        wait_until(lambda: time.time() - unused.stat().st_ctime > 1, "the upload is old")
        ask_for(installation, "sweep")
        wait_until(lambda: "removed 1 unused uploads" in installation.logs(), "it was removed")
        assert [upload.name for upload in uploads.iterdir()] == [links[0].rpartition("/")[2]]
        assert str(unused) in installation.logs()
        published = uploads.parent / "my_mod" / "1.0.0"
        assert len(list(published.iterdir())) == 1


def test_an_upload_is_there_for_a_ticket_that_waits_longer_than_it_is_kept(tmp_path: Path) -> None:
    content = archives.pack(tmp_path / "core.7z", archives.SAMPLE)
    with checkouts.checkout(UPLOAD_LIFETIME=1) as installation:
        installation.start_supervisor()
        installation.supervisorctl("stop", "worker")
        send = (sys.executable, "knossosd.py", "upload", str(content), "--server", installation.url)
        link = installation.run("env", f"KNOSSOSD_KEY={checkouts.KEY}", *send).stdout.strip()
        ticket, token = installation.submit(a_document(link))
        [upload] = (installation.folder / "var" / "mirror" / "uploads").iterdir()
        wait_until(lambda: time.time() - upload.stat().st_ctime > 1, "the upload is old")

        def sweeps() -> int:
            return installation.logs().count('"message": "knossosd.tasks.sweep: ')

        before = sweeps()
        ask_for(installation, "sweep")
        wait_until(lambda: sweeps() > before, "it was swept")
        installation.supervisorctl("start", "worker")
        outcome = installation.outcome(ticket, token)
    assert outcome["success"], outcome


@pytest.mark.usefixtures("redis_client")
def test_a_sweep_without_end_takes_one_thread_only(valkey: str) -> None:
    """Or there would be none left, after an hour of a disk that hangs, for tickets and webhooks."""
    program = """if True:
        from knossosd import tasks
        def sweep():
            tasks.sweep.call_local()
            print(tasks._statistics().standing().store)
        with tasks._sweeping:  # as a thread does that is sweeping
            sweep()
        sweep()
    """
    with checkouts.checkout(REDIS=valkey) as installation:
        swept = installation.run(sys.executable, "-c", program)
    assert swept.stdout.splitlines() == ["None", "StoreSize(contents=0, size=0)"], swept.stderr


def test_a_disk_that_fails_is_told_in_one_line_each(valkey: str) -> None:
    program = "from knossosd import logs, tasks; logs.set_up('x'); tasks.sweep.call_local(); tasks.verify.call_local()"
    with checkouts.checkout(REDIS=valkey) as installation:
        (installation.folder / "var").mkdir(exist_ok=True)
        (installation.folder / "var" / "mirror").write_text("where a folder should be")
        done = installation.run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    swept, verified = [json.loads(line) for line in done.stderr.splitlines()]
    assert swept["message"].startswith("what does not stay could not be removed: ")
    assert verified["message"].startswith("the mirror cannot be verified: ")
    assert {swept["level"], verified["level"]} == {"ERROR"}


def test_a_site_that_is_being_told_when_everything_stops_is_told_once(
    own_installation: Checkout, mirror: World, host: Host
) -> None:
    """Its answer comes after the others have left; were it not noted, the site would be told again."""
    begun = threading.Event()

    def takes_its_time(request: Request) -> None:
        begun.set()
        request.server.stopping.wait(4)
        request.answer(200)

    hook = host.link("/hook", takes_its_time)
    own_installation.submit(a_document(f"http://127.0.0.1:{host.server_port}/core.7z"), webhook=hook)
    assert begun.wait(30)
    own_installation.supervisorctl("stop", "all")
    own_installation.supervisorctl("start", "redis")
    [delivery] = json.loads(own_installation.verb("webhooks", "list", "--json").stdout)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


def test_what_upkeep_ends_and_delivers_stands_in_its_log(host: Host) -> None:
    with checkouts.checkout(TASK_LIFETIME=1) as installation:
        installation.start_supervisor()
        installation.supervisorctl("stop", "worker")
        hook = host.link("/hook", hosts.says(200))
        ticket, _ = installation.submit(a_document(host.link("/core.7z", hosts.stays_silent)), webhook=hook)

        def lines() -> list[str]:
            ask_for(installation, "look_after_tickets")
            told = [line for line in installation.log_lines("upkeep") if line["logger"] == "knossosd.tasks"]
            # At night, it tells as well that it has verified the mirror.
            return [line["message"] for line in told if line.get("ticket") == ticket]

        wait_until(lambda: len(lines()) == 2, "the end and the delivery are told")
        assert lines() == [
            f"ticket {ticket} ended: ticket_expired",
            f"attempt 1 of the webhook of ticket {ticket}: taken",
        ]
