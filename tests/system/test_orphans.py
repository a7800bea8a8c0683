"""Programs that are killed the hard way: what hangs on them ends or goes on by itself, and nothing runs twice."""

import json
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
import redis
import websocket

from knossosd.settings import Settings
from knossosd.tickets.connection import connect_once
from tests import checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.hosts import Host

SUPERVISOR, REDIS, VALKEY = "supervisord", "knossosd.py redis", "valkey-server"
WORKER, UPKEEP, WEB = "knossosd.tasks.huey", "knossosd.tasks.upkeep", "knossosd.py serve"


def processes(installation: Checkout, words: str) -> list[psutil.Process]:
    """Those whose command line has the words, parents first."""
    found = [one for one in installation.processes() if words in " ".join(one.cmdline())]
    return sorted(found, key=lambda one: one.pid)


def main_process(installation: Checkout, words: str) -> psutil.Process:
    """The process that the others with these words hang on."""
    everybody = processes(installation, words)
    [first] = [one for one in everybody if one.ppid() not in {other.pid for other in everybody}]
    return first


def are_gone(killed: list[psutil.Process]) -> Callable[[], bool]:
    return lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in killed)


def supervise_again(installation: Checkout) -> None:
    """Start everything in the background, as an operator would."""
    done = installation.run("supervisord", "-c", "supervisord.conf")
    assert done.returncode == 0, done.stdout + done.stderr


def test_workers_whose_consumer_was_killed_hand_their_ticket_back_and_end(
    own_installation: Checkout, host: Host, content: bytes
) -> None:
    link = host.link("/core.7z", hosts.one_after_the_other(hosts.drips, hosts.serves(content)))
    ticket, token = own_installation.submit(a_document(link))
    wait_until(lambda: host.requests, "the download has begun")
    family = processes(own_installation, WORKER)
    assert len(family) == 4, "the consumer, its scheduler and two workers"
    main_process(own_installation, WORKER).kill()
    wait_until(are_gone(family), "the orphans have ended")
    assert own_installation.outcome(ticket, token)["success"], own_installation.logs()
    assert "did not finish" in own_installation.logs()


def test_nothing_outlives_a_supervisor_that_was_killed(own_installation: Checkout) -> None:
    [supervisor] = processes(own_installation, SUPERVISOR)
    supervisor.kill()
    wait_until(lambda: not own_installation.processes(), "nothing is left")
    var = own_installation.folder / "var"
    assert (var / "supervisor.sock").exists()
    assert (var / "supervisord.pid").exists()
    supervise_again(own_installation)
    own_installation.wait_until_ready()
    wait_until(own_installation.is_ready, "everything works again")


def test_a_conversion_outlives_its_supervisor_and_valkey_runs_once(
    own_installation: Checkout, host: Host, content: bytes
) -> None:
    link, begun, hold = hosts.held(host, content)
    ticket, token = own_installation.submit(a_document(link))
    assert begun.wait(30)
    before = own_installation.processes()
    [valkey] = processes(own_installation, VALKEY)
    main_process(own_installation, SUPERVISOR).kill()
    supervise_again(own_installation)
    wait_until(lambda: "another server still works on the data" in own_installation.logs(), "the new Valkey waits")
    assert processes(own_installation, VALKEY) == [valkey]
    hold.set()
    wait_until(are_gone(before), f"the old programs have ended: {own_installation.logs()}")
    wait_until(lambda: len(processes(own_installation, VALKEY)) == 1, "the new Valkey runs")
    own_installation.wait_until_ready()
    outcome = own_installation.post("/api/converter/retrieve", ticket=ticket, token=token)
    assert outcome["success"], own_installation.logs()
    assert own_installation.get(f"/api/converter/get_status/{ticket}")["attempt"] == 1


@pytest.mark.parametrize(
    ("words", "number"), [(VALKEY, signal.SIGKILL), (VALKEY, signal.SIGTERM), (REDIS, signal.SIGKILL)]
)
def test_everybody_goes_on_when_valkey_was_killed(
    own_installation: Checkout, host: Host, content: bytes, words: str, number: signal.Signals
) -> None:
    """With its parent, Valkey ends as well, and properly."""
    link, begun, hold = hosts.held(host, content)
    ticket, token = own_installation.submit(a_document(link))
    assert begun.wait(30)
    connection = websocket.create_connection(f"ws://127.0.0.1:{own_installation.port}/ws/watcher/{ticket}", timeout=30)
    connection.recv()
    others = [one for words in (WEB, WORKER, UPKEEP) for one in processes(own_installation, words)]
    killed = processes(own_installation, REDIS) + processes(own_installation, VALKEY)
    [victim] = processes(own_installation, words)
    victim.send_signal(number)
    wait_until(are_gone(killed), "both are gone")
    hold.set()
    assert own_installation.outcome(ticket, token)["success"], own_installation.logs()
    while json.loads(connection.recv())[:2] != ["done", [True]]:
        pass
    connection.close()
    late = own_installation.submit(a_document(host.link("/core.7z", hosts.serves(content)), id="late"))
    assert own_installation.outcome(*late)["success"]
    assert all(one.is_running() for one in others), "the others were not restarted"
    assert len(processes(own_installation, VALKEY)) == 1


def test_a_valkey_that_lost_its_parent_is_waited_for(own_installation: Checkout) -> None:
    [parent], [valkey] = processes(own_installation, REDIS), processes(own_installation, VALKEY)
    client = connect_once(Settings(REDIS=f"unix://{own_installation.folder}/var/redis.sock"), "test")
    client.config_set("busy-reply-threshold", 100)

    def keep_busy() -> None:
        with suppress(redis.RedisError):  # nobody waits for its end
            client.eval("while true do end", 0)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    parent.kill()
    wait_until(lambda: "another server still works on the data" in own_installation.logs(), "the new one waits")
    assert processes(own_installation, VALKEY) == [valkey]
    with suppress(redis.RedisError):  # it ends as soon as it can, perhaps before it has answered
        client.script_kill()
    busy.join(30)
    wait_until(are_gone([valkey]), "the old one has ended")
    wait_until(own_installation.is_ready, "the new one serves")
    assert len(processes(own_installation, VALKEY)) == 1


def test_a_second_valkey_waits_until_it_is_asked_to_stop(own_installation: Checkout) -> None:
    second = own_installation.start("python", "knossosd.py", "redis", stderr=-1, text=True)
    assert second.stderr
    assert "another server still works on the data" in json.loads(second.stderr.readline())["message"]
    second.send_signal(signal.SIGTERM)
    assert second.wait(10) == 0
    wait_until(own_installation.is_ready, "the first one goes on")


def test_programs_that_somebody_started_by_hand_follow_nobody(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.verb("setup")
        shell = copy.start("sh", "-c", "python knossosd.py serve 2> /dev/null & wait")
        copy.wait_until_ready()
        shell.kill()
        shell.wait()
        copy.get("/healthz")


def test_a_program_that_dies_at_every_start_comes_back_in_the_end(own_installation: Checkout) -> None:
    for _ in range(5):
        wait_until(lambda: processes(own_installation, UPKEEP), "it was started")
        upkeep = main_process(own_installation, UPKEEP)
        upkeep.kill()
        wait_until(are_gone([upkeep]), "it has ended")
    wait_until(lambda: "RUNNING" in own_installation.supervisorctl("status", "upkeep"), "it runs")
