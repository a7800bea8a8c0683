"""As whom the programs run, what others on the machine can read, and what they see in the list of processes."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from knossosd.privileges import STAYS_ROOT
from tests import archives, checkouts, hosts
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.hosts import Host

USER = "nobody"
PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))
SPARE = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "tkinter", "*.a")

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def modes(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        if not path.is_symlink():
            yield path, stat.S_IMODE(path.stat().st_mode)


def reachable(path: Path, top: Path) -> bool:
    """Whether others get to the path, below the folder `top`."""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents if parent.is_relative_to(top))


def test_others_can_read_the_mirror_and_nothing_else(installation: Checkout, host: Host, content: bytes) -> None:
    link = host.link("/core.7z", hosts.serves(content))
    assert installation.outcome(*installation.submit(a_document(link, id="public")))["success"]
    assert installation.verb("keys", "add", "somebody").returncode == 0
    var, mirror = installation.folder / "var", installation.folder / "var" / "mirror"
    assert stat.S_IMODE(var.stat().st_mode) == 0o711
    for path, mode in modes(var):
        if not path.is_relative_to(mirror) and reachable(path, var) and path.name != "supervisord.pid":
            assert mode & 0o066 == 0, f"{path} {mode:o}"
    for name in ("supervisor.sock", "redis.sock", "log", "redis"):
        assert stat.S_IMODE((var / name).stat().st_mode) == 0o700, name
    assert stat.S_IMODE((mirror / ".published").stat().st_mode) == 0o700
    published = mirror / "public" / "1.0.0" / "core.7z"
    assert published.stat().st_mode & 0o004
    assert reachable(published, var)
    for name in ("settings.py", "keys.json", ".keys.lock"):
        assert stat.S_IMODE((installation.folder / "conf" / name).stat().st_mode) == 0o600, name


def test_a_mirror_elsewhere_lets_var_be_closed(tmp_path: Path) -> None:
    with checkouts.checkout(MIRROR_PATH=str(tmp_path / "mirror")) as copy:
        (copy.folder / "var").mkdir(mode=0o755)
        (copy.folder / "conf" / "settings.py").chmod(0o644)
        assert copy.verb("setup").returncode == 0
        assert stat.S_IMODE((copy.folder / "var").stat().st_mode) == 0o700
        assert stat.S_IMODE((copy.folder / "conf" / "settings.py").stat().st_mode) == 0o640


def test_a_key_that_everybody_can_read_is_told(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        (copy.folder / "conf" / "settings.py").chmod(0o644)
        copy.start_web()
        assert "everybody on this machine can read" in copy.logs()
        found = {one["what"]: one for one in json.loads(copy.verb("doctor", "--json").stdout)}
        assert (found["Secrets"]["is_right"], "settings.py" in found["Secrets"]["hint"]) == (False, True)


def test_no_secret_stands_in_the_list_of_processes(installation: Checkout, host: Host, content: bytes) -> None:
    link, begun, hold = hosts.held(host, content)
    ticket, token = installation.submit(a_document(link, id="listed"), webhook="http://127.0.0.1:1/h?s=5ecret")
    assert begun.wait(30)
    named = installation.verb("keys", "add", "listed").stdout.strip()
    lists = [" ".join(process.cmdline()) for process in installation.processes()]
    hold.set()
    assert installation.outcome(ticket, token)["success"]
    assert len(lists) >= 6, "supervisord, Valkey and its parent, web, worker, upkeep"
    for secret in (KEY, token, named, "5ecret"):
        assert not any(secret in words for words in lists)


@only_root
def test_root_is_told_loudly_that_everything_runs_as_root() -> None:
    with checkouts.checkout(RUN_AS=None) as copy:
        copy.start_supervisor()
        wait_until(copy.is_ready, "everything runs")
        for name in ("redis", "web_0", "worker", "upkeep"):
            assert STAYS_ROOT in (copy.folder / "var" / "log" / f"{name}.log").read_text(), name
        found = {one["what"]: one for one in json.loads(copy.verb("doctor", "--json").stdout)}
        assert (found["User"]["is_right"], found["User"]["found"]) == (False, STAYS_ROOT)


@only_root
def test_root_may_say_that_it_is_meant(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_web()
        assert STAYS_ROOT not in copy.logs()
        found = {one["what"]: one for one in json.loads(copy.verb("doctor", "--json").stdout)}
        assert (found["User"]["is_right"], found["User"]["found"]) == (True, "root")


@only_root
@pytest.mark.parametrize("user", ["no-such-user", USER])
def test_a_user_who_cannot_work_here_is_one_sentence(valkey: str, user: str) -> None:
    with checkouts.checkout(REDIS=valkey, RUN_AS=user) as copy:
        (copy.folder / "var").mkdir()  # root's
        for command in (["knossosd.py", "serve"], ["-m", "huey.bin.huey_consumer", "knossosd.tasks.upkeep"]):
            ended = copy.run(sys.executable, *command)
            assert ended.returncode == 2
            [line] = [json.loads(line) for line in ended.stderr.splitlines()]
            assert line["message"].startswith("RUN_AS: ")
            assert "there is no user" in line["message"] or f"chown -R {USER} " in line["message"]


def readable(copy: Checkout) -> str | None:
    """A Python in the checkout that runs with the packages of this one for everybody; None when that cannot be had."""
    home = copy.folder / "python"
    try:
        for part in ("bin", "lib"):
            shutil.copytree(
                Path(sys.base_prefix, part), home / part, copy_function=os.link, symlinks=True, ignore=SPARE
            )
    except OSError:  # another file system
        return None
    program = home / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    tried = subprocess.run(
        ["runuser", "-u", USER, "--", program, "-c", "import ssl, redis, gevent"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": PACKAGES, "LD_LIBRARY_PATH": str(home / "lib")},
        cwd="/",
        check=False,
    )
    return str(program) if tried.returncode == 0 else None


@pytest.fixture
def shared() -> Iterator[Checkout]:
    """A checkout, with an environment of its own, which everybody on this machine can read."""
    with checkouts.checkout(RUN_AS=USER) as copy:
        copy.folder.chmod(0o755)
        if shutil.which("runuser") is None or (python := readable(copy)) is None:
            pytest.skip("there is no Python that everybody can run")
        programs = copy.folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        modules = {
            "python": "",
            "huey_consumer": "-m huey.bin.huey_consumer",
            "supervisord": "-m supervisor.supervisord",
            "supervisorctl": "-m supervisor.supervisorctl",
        }
        for name, module in modules.items():
            places = f"PYTHONPATH={PACKAGES}:{copy.folder} LD_LIBRARY_PATH={copy.folder}/python/lib"
            (programs / name).write_text(f'#!/bin/sh\n{places} exec {python} {module} "$@"\n')
            (programs / name).chmod(0o755)
        stamp = subprocess.run("cat requirements.txt requirements.txt | cksum", shell=True, cwd=copy.folder,  # noqa: S602
                               capture_output=True, check=True, text=True)  # fmt: skip
        (programs.parent / ".installed-requirements.txt").write_text(stamp.stdout)
        yield copy


def users(copy: Checkout) -> dict[str, set[str]]:
    """The users of the programs that run, by what they are."""
    found: dict[str, set[str]] = {}
    for process in copy.processes():
        words = " ".join(process.cmdline())
        for name in ("supervisord", "valkey-server", "knossosd.py redis", "serve", "tasks.huey", "tasks.upkeep"):
            if name in words and process.name() not in ("sh", "runuser"):
                assert set(process.uids()) == {process.uids().real}, "there is no way back"
                found.setdefault(name, set()).add(process.username())
    return found


@only_root
@pytest.mark.parametrize(("option", "supervisor"), [("", "root"), (f"-u {USER}", USER)])
def test_whatever_root_starts_becomes_the_user(
    shared: Checkout, host: Host, content: bytes, option: str, supervisor: str
) -> None:
    assert shared.verb("setup").returncode == 0
    programs = shared.folder / ".venv" / "bin"
    shared.start(
        "sh", "-c", f"PATH={programs}:$PATH exec supervisord -n {option} -c supervisord.conf", stdout=subprocess.DEVNULL
    )
    shared.wait_until_ready()
    link, begun, hold = hosts.held(host, content)
    ticket, token = shared.submit(a_document(link))
    assert begun.wait(30), shared.logs()
    found = users(shared)
    hold.set()
    assert found.pop("supervisord") == {supervisor}
    assert set(found) == {"valkey-server", "knossosd.py redis", "serve", "tasks.huey", "tasks.upkeep"}
    assert set.union(*found.values()) == {USER}
    assert shared.outcome(ticket, token)["success"], shared.logs()
    named = shared.verb("keys", "add", "by root").stdout.strip()
    assert shared.get("/api/list_tasks", Authorization=f"Bearer {named}")
    assert (shared.folder / "conf" / "keys.json").owner() == USER


@only_root
@pytest.mark.parametrize("options", [[], ["--mirror", "var/other", "--mirror-url", "https://m.example"]])
def test_what_root_converts_by_hand_is_converted_as_the_user(shared: Checkout, options: list[str]) -> None:
    assert shared.verb("setup").returncode == 0
    archives.make_zip(shared.folder / "core.zip", {"mod.ini": b"[launcher]"}).chmod(0o644)
    (shared.folder / "mod.json").write_text(json.dumps(a_document("core.zip")))
    python = shared.folder / ".venv" / "bin" / "python"
    done = shared.run(str(python), "knossosd.py", "convert", "mod.json", "-", *options)
    assert done.returncode == 0, done.stderr
    assert {path.owner() for path in (shared.folder / "var").rglob("*")} == {USER}, "nothing is in the server's way"


@only_root
def test_launching_as_root_runs_nothing_as_root(shared: Checkout) -> None:
    output = shared.folder / "launch.out"
    with output.open("w") as file:
        process = shared.start("./launch.sh", stdout=file, stderr=file)
    wait_until(lambda: "Ctrl-C stops it" in output.read_text() or process.poll() is not None, "it is launched")
    assert "Ctrl-C stops it" in output.read_text(), output.read_text()
    assert set.union(*users(shared).values()) == {USER}
    assert len(users(shared)) == 6
    process.terminate()
    assert process.wait(60) == 0
    wait_until(lambda: not shared.processes(), "nothing is left")
