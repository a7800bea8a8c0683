"""Operations: start, stop, restart, and nothing is left or lost."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import websocket

from tests import checkouts, hosts
from tests.checkouts import Checkout, a_document, wait_until
from tests.hosts import Host


def nothing_is_left(installation: Checkout) -> None:
    wait_until(lambda: not installation.processes(), f"no process is left: {installation.processes()}")


def test_operators_call_the_programs_by_their_names(own_installation: Checkout) -> None:
    lines = wait_until(
        lambda: (
            (found := own_installation.supervisorctl("status").splitlines())
            and all("RUNNING" in line for line in found)
            and found
        ),
        "everything runs",
    )
    assert [line.split()[0] for line in sorted(lines)] == [
        "redis", "upkeep", "web:web_0", "worker"
    ]  # fmt: skip
    var = own_installation.folder / "var"
    assert var.joinpath("supervisor.sock").stat().st_mode & 0o777 == 0o700
    assert var.joinpath("redis.sock").stat().st_mode & 0o777 == 0o700


def test_every_line_is_json_and_about_its_ticket(own_installation: Checkout, host: Host, content: bytes) -> None:
    link = host.link("/core.7z", hosts.one_after_the_other(hosts.says(500), hosts.serves(content)))
    hook = host.link("/hook?sig=SeCrEt", hosts.says(500))
    host.behaviours["/hook"] = host.behaviours["/hook?sig=SeCrEt"]
    ticket, token = own_installation.submit(a_document(link), webhook=hook)
    assert own_installation.outcome(ticket, token)["success"]
    names = ("web_0", "worker", "upkeep")
    wait_until(lambda: "webhook" in str(own_installation.log_lines("upkeep")[-3:]), "the webhook was tried")
    own_installation.supervisorctl("stop", "web:web_0", "worker", "upkeep")
    lines = {name: own_installation.log_lines(name) for name in names}
    for name in names:
        assert {line["process"] for line in lines[name]} == {name}
    worker = [line for line in lines["worker"] if line["logger"] == "huey"]
    assert len(worker) == 2, "Huey says that it begins and that it has ended"
    assert {line.get("ticket") for line in worker} == {ticket}
    requests = [line for line in lines["web_0"] if "POST /api/converter/re" in line["message"]]
    assert len(requests) == 2, "it was submitted and retrieved"
    named = [line for line in lines["web_0"] if str(ticket) in line["message"]]
    assert {line.get("ticket") for line in requests + named} == {ticket}
    shown = own_installation.verb("logs", "--ticket", str(ticket)).stdout
    assert [word in shown for word in ("web_0[", "worker[", "upkeep[")] == [True] * 3
    logs = own_installation.logs()
    for secret in (token, checkouts.KEY, "SeCrEt"):
        assert secret not in logs


def test_the_doctor_shows_who_lives(installation: Checkout, host: Host, content: bytes) -> None:
    def examined() -> dict[str, Any]:
        return {one["what"]: one for one in json.loads(installation.verb("doctor", "--json").stdout)}

    link, begun, hold = hosts.held(host, content)
    wait_until(installation.is_ready, "the workers live")
    wait_until(lambda: examined()["Upkeep"]["is_right"], "upkeep lives, which starts beside them")
    ticket, token = installation.submit(a_document(link, id="examined"))
    assert begun.wait(30)
    found = examined()
    hold.set()
    assert installation.outcome(ticket, token)["success"]
    assert all(found[what]["is_right"] for what in ("Redis", "Web", "Worker", "Upkeep", "Port")), found
    assert {what: found[what]["found"].count(" since ") for what in ("Web", "Worker", "Upkeep")} == {
        "Web": 1, "Worker": 2, "Upkeep": 1
    }  # fmt: skip
    assert f"at ticket {ticket}" in found["Worker"]["found"]


def test_stopping_everything_lets_a_conversion_end(own_installation: Checkout, host: Host, content: bytes) -> None:
    link, begun, hold = hosts.held(host, content)
    ticket, token = own_installation.submit(a_document(link))
    assert begun.wait(30)
    stopping = own_installation.start(
        "supervisorctl", "-c", "supervisord.conf", "stop", "all", stdout=subprocess.DEVNULL
    )
    wait_until(lambda: "Received SIGINT" in own_installation.logs(), "the worker was told to stop")
    hold.set()
    assert stopping.wait(60) == 0
    own_installation.supervisorctl("shutdown")
    nothing_is_left(own_installation)
    own_installation.start_supervisor()
    outcome = own_installation.post("/api/converter/retrieve", ticket=ticket, token=token)
    assert outcome["success"], own_installation.logs()


def test_restarting_the_worker_loses_no_conversion(own_installation: Checkout, host: Host, content: bytes) -> None:
    link, begun, hold = hosts.held(host, content)
    ticket, token = own_installation.submit(a_document(link))
    assert begun.wait(30)
    restart = own_installation.start(
        "supervisorctl", "-c", "supervisord.conf", "restart", "worker", stdout=subprocess.DEVNULL
    )
    wait_until(lambda: "Received SIGINT" in own_installation.logs(), "the worker was told to stop")
    hold.set()
    restart.wait(60)
    assert own_installation.outcome(ticket, token)["success"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_stops_everything(own_installation: Checkout, number: signal.Signals) -> None:
    [supervisor] = [one for one in own_installation.processes() if "supervisord" in " ".join(one.cmdline())]
    supervisor.send_signal(number)
    nothing_is_left(own_installation)


def test_the_last_conversions_finish_in_sight(own_installation: Checkout, host: Host, content: bytes) -> None:
    """The supervisor has the worker end first, so who watches sees how it goes out."""
    link, begun, hold = hosts.held(host, content)
    ticket, _ = own_installation.submit(a_document(link))
    assert begun.wait(30)
    own_installation.supervisorctl("shutdown")
    wait_until(lambda: "Received SIGINT" in own_installation.logs(), "the worker was told to stop")
    connection = websocket.create_connection(f"ws://127.0.0.1:{own_installation.port}/ws/watcher/{ticket}", timeout=30)
    hold.set()
    while json.loads(connection.recv())[:2] != ["done", [True]]:
        pass
    connection.close()
    nothing_is_left(own_installation)


def test_two_checkouts_run_side_by_side(installation: Checkout, host: Host, content: bytes) -> None:
    link = host.link("/core.7z", hosts.serves(content))
    with checkouts.checkout() as other:
        other.start_supervisor()
        tickets = {copy: copy.submit(a_document(link, id="side_by_side")) for copy in (installation, other)}
        for copy, (ticket, token) in tickets.items():
            assert copy.outcome(ticket, token)["success"]
        assert other.post("/api/converter/retrieve", ticket=tickets[installation][0], token="x")["found"] is False


def test_another_redis_is_used_when_the_settings_name_one(valkey: str, host: Host, content: bytes) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_supervisor()
        outcome = copy.outcome(*copy.submit(a_document(host.link("/core.7z", hosts.serves(content)))))
        assert outcome["success"]
        assert "EXITED" in copy.supervisorctl("status", "redis")
        assert not (copy.folder / "var" / "redis.sock").exists()
        assert redis.Redis.from_url(valkey).exists("knossosd:tickets")


def test_supervisord_works_by_itself_in_the_background() -> None:
    with checkouts.checkout() as copy:
        assert copy.verb("setup").returncode == 0
        assert copy.run("supervisord", "-c", "supervisord.conf").returncode == 0
        copy.wait_until_ready()
        copy.supervisorctl("shutdown")
        nothing_is_left(copy)


def test_a_port_that_is_taken_is_one_sentence(installation: Checkout, valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey, API_LISTEN=("127.0.0.1", installation.port)) as copy:
        copy.verb("setup")
        ended = copy.verb("serve")
        assert ended.returncode == 1
        assert f"cannot listen on 127.0.0.1:{installation.port}" in ended.stderr
        assert "Traceback" not in ended.stderr


def link_environment(copy: Checkout) -> None:
    """Give the copy the environment that runs this test, as if it had been made there."""
    from tests.checkouts import ROOT

    if (ROOT / ".venv").is_dir():
        (copy.folder / ".venv").symlink_to(ROOT / ".venv")


def launched(copy: Checkout, *arguments: str) -> tuple[subprocess.Popen[Any], Path]:
    output = copy.folder / "launch.out"
    with output.open("w") as file:
        process = copy.start("./launch.sh", *arguments, stdout=file, stderr=file)
    return process, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_launching_prints_address_and_key_and_stops_cleanly(number: signal.Signals) -> None:
    with checkouts.checkout(RUN_AS=None) as copy:
        link_environment(copy)
        process, output = launched(copy)
        wait_until(lambda: "Ctrl-C stops it" in output.read_text() or process.poll() is not None, "it is launched")
        assert copy.url in output.read_text()
        assert checkouts.KEY in output.read_text()
        if os.geteuid() == 0:
            wait_until(lambda: "ATTENTION: everything runs as root" in output.read_text(), "it says so")
        second = copy.run("./launch.sh")
        assert (second.returncode, second.stderr.strip()) == (
            1, f"The server of this checkout already runs, at {copy.url}."
        )  # fmt: skip
        process.send_signal(number)
        assert process.wait(60) == 0
        nothing_is_left(copy)


def test_the_demo_converts_the_example() -> None:
    with checkouts.checkout() as copy:
        link_environment(copy)
        process, output = launched(copy, "demo")
        wait_until(lambda: "keeps running" in output.read_text() or process.poll() is not None, "the demo is through")
        text = output.read_text()
        assert '"id": "shiny_test_mod"' in text, text
        assert json.loads((copy.folder / "var" / "demo" / "generated.json").read_text())["mods"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_fresh_checkout_gets_settings_with_a_key() -> None:
    with checkouts.checkout() as copy:
        settings = copy.folder / "conf" / "settings.py"
        settings.unlink()
        first = copy.verb("setup", "--port", "8123")
        assert first.returncode == 0, first.stderr
        address, key, _ = first.stdout.split()
        assert address == "http://localhost:8123"
        assert len(key) > 20
        assert settings.stat().st_mode & 0o777 == 0o600
        assert copy.verb("setup").stdout == first.stdout
        refused = copy.verb("setup", "--port", "8124")
        assert refused.returncode == 2
        assert "names another port" in refused.stderr


def test_a_taken_port_stops_the_launch_with_one_sentence(installation: Checkout) -> None:
    with checkouts.checkout(API_LISTEN=("127.0.0.1", installation.port)) as copy:
        link_environment(copy)
        ended = copy.run("./launch.sh")
        assert ended.returncode == 1
        assert "is taken by another program" in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1


def test_a_conversion_that_outlasts_the_grace_time_starts_again(host: Host, content: bytes) -> None:
    link, begun, hold = hosts.held(host, content)
    with checkouts.checkout() as copy:
        conf = copy.folder / "supervisord.conf"
        conf.write_text(conf.read_text().replace("-t 600", "-t 1"))
        copy.start_supervisor()
        ticket, token = copy.submit(a_document(link))
        assert begun.wait(30)
        copy.supervisorctl("restart", "worker")
        hold.set()
        assert copy.outcome(ticket, token)["success"], copy.logs()
        assert copy.get(f"/api/converter/get_status/{ticket}")["attempt"] == 2


def test_several_web_processes_share_the_port(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        conf = copy.folder / "supervisord.conf"
        conf.write_text(conf.read_text().replace("numprocs=1", "numprocs=3"))
        copy.start_supervisor()

        def webs() -> list[str]:
            return [line for line in copy.supervisorctl("status").splitlines() if "web_" in line and "RUNNING" in line]

        wait_until(lambda: len(webs()) == 3, "three web processes run")
        ticket, _ = copy.submit(a_document("http://127.0.0.1:1/down.7z"))
        for _ in range(20):
            assert copy.state(ticket) in ("WAITING", "WORKING", "DONE")
        copy.supervisorctl("restart", "web:web_1")
        wait_until(lambda: len(webs()) == 3, "three web processes run again")


def test_a_path_that_is_too_long_for_sockets_is_one_sentence(tmp_path: Path) -> None:
    copy = Checkout(tmp_path / ("d" * 60) / ("e" * 60))
    link_environment(copy)
    ended = copy.run("./launch.sh")
    assert ended.returncode == 2
    assert ended.stderr.count("too long for a socket") == 1
    assert len(ended.stderr.strip().splitlines()) == 1
