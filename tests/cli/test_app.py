"""The command line as people and scripts use it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import archives, hosts
from tests.checkouts import ROOT, a_document, free_port
from tests.hosts import Host


def verb(*arguments: str, settings: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a verb; without settings unless a file is named."""
    environment = {"PATH": "/usr/bin:/bin", "KNOSSOSD_SETTINGS": settings or "/nowhere/settings.py", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, str(ROOT / "knossosd.py"), *arguments],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        env=environment,
        **options,
    )


def written(path: Path, document: Any) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_help_names_every_verb() -> None:
    shown = verb("--help").stdout
    for name in ("convert", "submit", "status", "check", "schema", "doctor", "setup", "serve", "redis", "Exit codes"):
        assert name in shown


def test_nothing_is_imported_that_gevent_has_to_replace_first() -> None:
    look = "import knossosd.cli, sys; print({'socket', 'ssl', 'redis', 'urllib3', 'huey'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["convert", "submit", "status", "check", "schema", "doctor", "setup"])
def test_every_verb_explains_itself(name: str) -> None:
    shown = verb(name, "--help")
    assert shown.returncode == 0
    assert "Usage" in shown.stdout


def test_a_wrong_call_is_code_2() -> None:
    assert verb("convert").returncode == 2
    assert verb("nonsense").returncode == 2


def test_converting_a_local_archive(tmp_path: Path) -> None:
    archives.pack(tmp_path / "core.7z", archives.SAMPLE)
    source = written(tmp_path / "mod.json", a_document("core.7z"))
    target = tmp_path / "generated.json"
    done = verb("convert", source, str(target), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [mod] = json.loads(target.read_text())["mods"]
    assert {entry["filename"] for entry in mod["packages"][0]["filelist"]} == set(archives.SAMPLE)
    assert "core.7z" in done.stderr
    assert done.stdout == ""


def test_converting_to_standard_output_with_a_mirror(tmp_path: Path) -> None:
    archives.pack(tmp_path / "core.7z", archives.SAMPLE)
    document = json.dumps(a_document(str(tmp_path / "core.7z")))
    mirror = ["--mirror", str(tmp_path / "mirror"), "--mirror-url", "https://m.example/x"]
    done = verb("convert", "-", "-", "--quiet", *mirror, input=document)
    assert (done.returncode, done.stderr) == (0, "")
    [file] = json.loads(done.stdout)["mods"][0]["packages"][0]["files"]
    assert file["urls"] == ["https://m.example/x/my_mod/1.0.0/core.7z"]
    assert (tmp_path / "mirror" / "my_mod" / "1.0.0" / "core.7z").exists()


def test_a_failed_conversion_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "core.7z").write_text("no archive")
    source = written(tmp_path / "mod.json", a_document("core.7z"))
    done = verb("convert", source, str(tmp_path / "generated.json"))
    assert done.returncode == 1
    assert "is no archive" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "generated.json").exists()


def test_strangers_links_stay_guarded(tmp_path: Path, host: Host) -> None:
    link = host.link("/core.7z", hosts.serves(b"x"))
    done = verb("convert", written(tmp_path / "mod.json", a_document(link)), str(tmp_path / "out"))
    assert done.returncode == 1
    assert "not a public host" in done.stderr
    assert host.requests == []


@pytest.mark.parametrize("document", ["nonsense", {}, {"mods": [{"id": "a"}]}])
def test_an_invalid_document_is_code_2(tmp_path: Path, document: Any) -> None:
    source = written(tmp_path / "mod.json", document)
    for arguments in (["convert", source, "-"], ["check", source], ["submit", source, "-", "--key", "x"]):
        done = verb(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr + done.stdout
        assert "Traceback" not in done.stderr


def test_a_missing_file_is_one_sentence() -> None:
    done = verb("check", "/nowhere/mod.json")
    assert (done.returncode, done.stderr.strip()) == (2, "There is no file /nowhere/mod.json.")


def test_checking(tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", a_document("https://host.example/a.7z", version="1.2"))
    done = verb("check", good)
    assert done.returncode == 0
    assert "warning: my_mod: The version 1.2 was written as 1.2.0." in done.stdout
    assert done.stdout.endswith("is valid.\n")
    as_json = json.loads(verb("check", good, "--json").stdout)
    assert (as_json["errors"], as_json["warnings"][0]["code"]) == ([], "version_rewritten")
    bad = written(tmp_path / "bad.json", {"mods": [{"id": 5}]})
    assert "mods[0].id: must be text" in verb("check", bad).stdout
    assert json.loads(verb("check", bad, "--json").stdout)["errors"][0]["path"] == "mods[0].id"


def test_the_schema_is_printed() -> None:
    assert json.loads(verb("schema").stdout)["title"] == "FreeSpace Open repo document"


def test_a_server_that_is_away_is_code_3(tmp_path: Path) -> None:
    source = written(tmp_path / "mod.json", a_document("https://host.example/a.7z"))
    server = f"http://127.0.0.1:{free_port()}"
    for arguments in (["submit", source, "-", "--key", "x"], ["status", "5"]):
        done = verb(*arguments, "--server", server)
        assert done.returncode == 3
        assert "cannot be reached" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_host_that_is_no_server_of_ours_is_code_3(host: Host) -> None:
    link = host.link("/api/converter/get_status/5", hosts.says(200, b"<html>"))
    done = verb("status", "5", "--server", link.removesuffix("/api/converter/get_status/5"))
    assert done.returncode == 3
    assert "is not a knossosd server" in done.stderr


def test_a_wrong_key_is_code_4(tmp_path: Path, host: Host) -> None:
    link = host.link("/api/converter/request", hosts.says(403, b"Access denied"))
    source = written(tmp_path / "mod.json", a_document("https://host.example/a.7z"))
    server = link.removesuffix("/api/converter/request")
    assert verb("submit", source, "-", "--key", "x", "--server", server).returncode == 4


def test_an_unknown_ticket_is_code_1(host: Host) -> None:
    body = b'{"error": true, "message": "There is no such ticket (any more)."}'
    link = host.link("/api/converter/get_status/5", hosts.says(404, body))
    done = verb("status", "5", "--server", link.removesuffix("/api/converter/get_status/5"))
    assert (done.returncode, done.stderr.strip()) == (1, "There is no such ticket (any more).")


def test_programs_that_cannot_start_say_why_in_one_line(tmp_path: Path) -> None:
    bad = written(tmp_path / "settings.py", "API_KYES = ()")
    for name in ("serve", "redis"):
        for settings, words in ((bad, "API_KYES is not a setting"), ("", "is missing")):
            done = verb(name, settings=settings)
            assert done.returncode == 2
            assert words in done.stderr
            assert "Traceback" not in done.stderr


def test_the_doctor_does_not_tell_the_password_of_redis(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("REDIS = 'redis://user:SeCrEt@127.0.0.1:1/0'\n")
    told = verb("doctor", settings=str(tmp_path / "settings.py")).stdout
    assert "redis://…@127.0.0.1:1/0" in told
    assert "SeCrEt" not in told


def test_the_doctor_says_what_to_do(tmp_path: Path) -> None:
    broken = written(tmp_path / "broken.py", "API_KYES = ()")
    done = verb("doctor", settings=broken)
    assert done.returncode == 1
    assert "wrong  Settings" in done.stdout
    away = written(tmp_path / "away.py", f"REDIS = 'redis://127.0.0.1:{free_port()}'\nSEVENZIP = '/nowhere/7zz'\n")
    found = {one["what"]: one for one in json.loads(verb("doctor", "--json", settings=away).stdout)}
    for what in ("Redis", "7-Zip", "API keys"):
        assert not found[what]["is_right"]
        assert found[what]["hint"]


@pytest.mark.parametrize(("wanted", "is_right"), [(1, True), (2**60, False)])
def test_the_doctor_wants_as_much_disk_as_the_server_does(tmp_path: Path, wanted: int, is_right: bool) -> None:
    settings = written(
        tmp_path / "settings.py",
        f"MIN_FREE_DISK = {wanted}\nMIRROR_PATH = {str(tmp_path)!r}\nMIRROR_URL = 'http://m.example'\n",
    )
    found = {one["what"]: one for one in json.loads(verb("doctor", "--json", settings=settings).stdout)}
    assert (found["Mirror"]["is_right"], found["Work folder"]["is_right"]) == (is_right, is_right)


def test_the_doctor_finds_a_redis_that_loses_or_takes_nothing(
    valkey: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    settings = written(tmp_path / "settings.py", f"REDIS = {valkey!r}\n")
    for memory, policy, words in ((2**30, "volatile-lru", "noeviction"), (1, "noeviction", "Make room")):
        redis_client.config_set("maxmemory-policy", policy)
        redis_client.config_set("maxmemory", memory)
        try:
            found = {one["what"]: one for one in json.loads(verb("doctor", "--json", settings=settings).stdout)}
        finally:
            redis_client.config_set("maxmemory", 0)
            redis_client.config_set("maxmemory-policy", "noeviction")
        assert not found["Redis"]["is_right"]
        assert words in found["Redis"]["hint"]
