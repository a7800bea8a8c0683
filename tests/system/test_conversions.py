"""Conversions through everything: HTTP, queue, worker, downloads, 7-Zip, mirror, events."""

import hashlib
import json
import threading
import urllib.request
from pathlib import Path
from typing import Any

import websocket

from tests import archives, hosts
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.hosts import Host


def archive(tmp_path: Path, name: str = "core.7z") -> bytes:
    return archives.pack(tmp_path / name, archives.SAMPLE).read_bytes()


def complete_log(installation: Checkout, ticket: int) -> list[str]:
    """What a watcher sees up to the end."""
    connection = websocket.create_connection(f"ws://127.0.0.1:{installation.port}/ws/watcher/{ticket}", timeout=30)
    lines = []
    try:
        while True:
            name, arguments, *_ = json.loads(connection.recv())
            if name == "log_message":
                lines.append(arguments[0])
            elif name == "done":
                return [*lines, f"done {arguments[0]}"]
    finally:
        connection.close()


def test_a_mod_goes_all_the_way(installation: Checkout, host: Host, tmp_path: Path) -> None:
    content = archive(tmp_path)
    link = host.link("/core.7z", hosts.serves(content))
    outcome = installation.outcome(*installation.submit(a_document(link)))
    assert outcome["success"], outcome
    assert isinstance(outcome["json"], str)
    [mod] = json.loads(outcome["json"])["mods"]
    [file] = mod["packages"][0]["files"]
    assert file["checksum"] == ["sha256", hashlib.sha256(content).hexdigest()]
    assert file["md5sum"] == hashlib.md5(content).hexdigest()
    listed = {entry["filename"]: entry["checksum"][1] for entry in mod["packages"][0]["filelist"]}
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in archives.SAMPLE.items()}
    with urllib.request.urlopen(file["urls"][-1], timeout=10) as response:
        assert response.read() == content
    work = installation.folder / "var" / "mirror" / ".work"
    assert list(work.iterdir()) == []


def test_a_bad_archive_is_told_with_its_place(installation: Checkout, host: Host) -> None:
    link = host.link("/broken.7z", hosts.says(200, b"7z\xbc\xaf\x27\x1c" + bytes(100)))
    ticket, token = installation.submit(a_document(link, id="bad_mod"))
    outcome = installation.outcome(ticket, token)
    assert (outcome["success"], outcome["json"]) == (False, None)
    [error] = outcome["errors"]
    assert (error["mod"], error["package"], error["file"]) == ("bad_mod", "Core", "broken.7z")
    assert error["code"].startswith("archive_")
    assert not (installation.folder / "var" / "mirror" / "bad_mod").exists()
    said = [line["message"] for line in installation.log_lines("worker") if line.get("ticket") == ticket]
    assert any(line.startswith(f"ticket {ticket} failed: bad_mod / Core / broken.7z: ") for line in said)


def test_ten_late_watchers_see_the_same_complete_log(installation: Checkout, host: Host, tmp_path: Path) -> None:
    content, hold = archive(tmp_path), threading.Event()

    def slowly(request: hosts.Request) -> None:
        hold.wait(30)
        request.answer(200, content)

    links = [host.link(f"/{number}.7z", hosts.serves(content)) for number in range(5)]
    ticket, _ = installation.submit(a_document(*links, host.link("/held.7z", slowly), id="watched"))
    early: list[list[str]] = []
    first = threading.Thread(target=lambda: early.append(complete_log(installation, ticket)))
    first.start()
    wait_until(lambda: len(host.requests) == 6, "all downloads have begun")
    late: list[list[str]] = []
    watchers = [threading.Thread(target=lambda: late.append(complete_log(installation, ticket))) for _ in range(10)]
    for watcher in watchers:
        watcher.start()
    hold.set()
    for watcher in (first, *watchers):
        watcher.join(30)
    after = complete_log(installation, ticket)
    kept = [line for line in early[0] if "queued" not in line]
    assert kept[-1] == "done True"
    assert late == [kept] * 10
    assert after == kept


def test_a_webhook_is_told_and_may_cancel(installation: Checkout, host: Host, tmp_path: Path) -> None:
    link = host.link("/core.7z", hosts.serves(archive(tmp_path)))
    told: list[hosts.Request] = []

    def cancels(request: hosts.Request) -> None:
        told.append(request)
        request.answer(200, b'{"cancelled": true}')

    ticket, token = installation.submit(a_document(link, id="hooked"), webhook=host.link("/hook", cancels))
    wait_until(lambda: told, "the webhook is told")
    [request] = told
    assert request.command == "POST"
    assert request.body == f"ticket={ticket}".encode()
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["X-Knossos-Delivery"]
    from knossosd.tickets.webhooks import sign

    assert request.headers["X-Knossos-Signature"] == sign(token, request.headers["X-Knossos-Timestamp"], request.body)

    def is_gone() -> bool:
        answer: dict[str, Any] = installation.post("/api/converter/retrieve", ticket=ticket, token=token)
        return answer["found"] is False

    wait_until(is_gone, "the ticket is removed")


def test_somebody_who_watches_answers_a_captcha(installation: Checkout, host: Host, tmp_path: Path) -> None:
    content = archive(tmp_path)
    page = b'<html><form method="post"><img src="/captcha.png"><input name="code"></form></html>'

    def gate(request: hosts.Request) -> None:
        request.answer(200, content if request.body == b"code=xyzzy" else page)

    ticket, token = installation.submit(a_document(host.link("/core.7z", gate), id="gated"))
    connection = websocket.create_connection(f"ws://127.0.0.1:{installation.port}/ws/inter/{ticket}", timeout=30)
    while True:
        name, arguments, *_ = json.loads(connection.recv())
        if name == "captcha":
            assert arguments[0].endswith("/captcha.png")
            connection.send(json.dumps(["captcha_response", ["xyzzy"]]))
        if name == "done":
            break
    connection.close()
    assert installation.outcome(ticket, token)["success"]


def test_the_command_line_submits_a_document_with_local_files(installation: Checkout, tmp_path: Path) -> None:
    archive(tmp_path)
    document = tmp_path / "mod.json"
    document.write_text(json.dumps(a_document("core.7z", id="local_mod")))
    target = tmp_path / "generated.json"
    done = installation.verb("submit", str(document), str(target), "--server", installation.url, "--key", KEY)
    assert done.returncode == 0, done.stderr
    assert "INFO: Uploading core.7z" in done.stderr
    assert "INFO: Done" in done.stderr
    [mod] = json.loads(target.read_text())["mods"]
    assert mod["packages"][0]["files"][0]["urls"] == [f"{installation.url}/mirror/local_mod/1.0.0/core.7z"]
    ticket = done.stderr.split("Ticket ")[1].split(":")[0]
    shown = installation.verb("status", ticket, "--server", installation.url, "--json")
    assert json.loads(shown.stdout)["state"] == "DONE"


def test_the_doctor_finds_a_running_installation_in_order(installation: Checkout) -> None:
    found = {one["what"]: one for one in json.loads(installation.verb("doctor", "--json").stdout)}
    for what in ("Settings", "API keys", "7-Zip", "Redis", "Port"):
        assert found[what]["is_right"], found[what]


def test_the_demo_document_is_in_order(installation: Checkout) -> None:
    (installation.folder / "var" / "demo").mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("shiny_core.7z", "shiny_missions.7z"):
        archives.pack(installation.folder / "var" / "demo" / name, {"mod.ini": b"x"})
    checked = installation.verb("check", "examples/mod.json", "--json")
    assert json.loads(checked.stdout) == {"errors": [], "warnings": []}
