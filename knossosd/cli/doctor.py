"""Whether this installation is in order: one line for each thing, right or wrong, and what to do."""

import os
import re
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from knossosd import privileges
from knossosd.cli.display import moment
from knossosd.conversion.sevenzip import SevenZip
from knossosd.faults import ServerFault
from knossosd.keyring import Keyring
from knossosd.settings import GIB, MIB, VAR, Settings, SettingsError, load, settings_file
from knossosd.tickets.connection import connect_once, refusal_of_writes
from knossosd.tickets.workers import Living, living

ENOUGH_FOR_REDIS = 256 * MIB
"""Bytes that the append-only file may need until somebody looks again."""

OTHERS = 0o066
"""The bits of a mode that let others look into a folder, or change it."""

ENOUGH_FILES = 4096
"""Open files that a web process with a thousand watchers needs, with room to spare."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line: `hint` says what to do when it is not right."""

    what: str
    is_right: bool
    found: str
    hint: str = ""


def examine() -> Iterator[Check]:
    """Look at everything, in the order in which it has to be put right."""
    yield Check("Python", sys.version_info >= (3, 11), sys.version.split()[0], "knossosd needs Python 3.11 or newer.")
    try:
        settings = load(settings_file())
    except SettingsError as error:
        yield Check("Settings", False, str(error), "Correct the file; docs/settings.md explains every setting.")
        return
    yield Check("Settings", True, str(settings_file()))
    yield _user(settings)
    yield _secrets()
    keys = Keyring.from_settings(settings).all()
    yield Check("API keys", bool(keys), ", ".join(key.name for key in keys), "python knossosd.py keys add NAME")
    yield _sevenzip(settings)
    yield _redis(settings)
    yield from _processes(settings)
    yield from _mirror(settings)
    yield _disk("Work folder", settings.work_path, settings.min_free_disk)
    if not settings.redis and (VAR / "redis").exists():
        yield _disk("Redis' folder", VAR / "redis", ENOUGH_FOR_REDIS)
    yield _port(settings)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield Check("Open files", limit >= ENOUGH_FILES, str(limit), "Raise the limit (ulimit -n) for many watchers.")


def _user(settings: Settings) -> Check:
    """As whom the programs run; from now on, we look with that user's eyes."""
    if privileges.stays_root(settings):
        return Check("User", False, privileges.STAYS_ROOT, 'RUN_AS = "root" says that this is meant.')
    try:
        privileges.drop(settings)
    except SettingsError as error:
        return Check("User", False, str(error), "docs/operations.md explains what that user needs.")
    return Check("User", True, privileges.user_name())


def _secrets() -> Check:
    exposed = [*privileges.exposed(), *([VAR] if VAR.exists() and VAR.stat().st_mode & OTHERS else [])]
    found = ", ".join(map(str, exposed))
    return Check("Secrets", not exposed, found or "closed to others", f"chmod go-rw {' '.join(map(str, exposed))}")


def _sevenzip(settings: Settings) -> Check:
    try:
        sevenzip = SevenZip(settings.sevenzip)
        about = sevenzip.about()
    except (ServerFault, OSError) as error:
        return Check("7-Zip", False, str(error), "Install the packages of requirements.txt again.")
    version = next((line for line in about.splitlines() if line.startswith("7-Zip")), "unknown").split(" : ")[0]
    reads_rar = "Rar5" in about
    return Check(
        "7-Zip", reads_rar, version + (", with RAR" if reads_rar else ", without RAR"), "Use a build with RAR codecs."
    )


def _redis(settings: Settings) -> Check:
    name = re.sub(r"//[^/@]*@", "//…@", settings.redis) if settings.redis else "embedded"
    client = connect_once(settings, "doctor")
    try:
        info, refusal = dict(client.info()), refusal_of_writes(client)
    except redis.RedisError as error:
        hint = "Check REDIS." if settings.redis else "It runs while the server runs: ./launch.sh"
        return Check("Redis", False, f"{name}: {error}", hint)
    version = info.get("valkey_version") or info.get("redis_version")
    found = f"{name}, version {version}"
    if refusal:
        return Check("Redis", False, f"{found}: {refusal}", "Make room on its disk, or in its memory.")
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        hint = "Set its maxmemory-policy to noeviction: it throws tickets away when its memory is full."
        return Check("Redis", False, f"{found}, {info['maxmemory_policy']}", hint)
    hint = "Turn on its append-only file, or a restart loses tickets."
    return Check("Redis", bool(info.get("aof_enabled")), found, hint)


def _processes(settings: Settings) -> Iterator[Check]:
    """Who shows that it lives; nothing when Redis is away, which has been said."""
    try:
        found = living(connect_once(settings, "doctor"))
    except redis.RedisError:
        return
    for program in ("web", "worker", "upkeep"):
        processes = [_in_words(process) for process in found if process.kind == program]
        hint = "Does the server run? Then `python knossosd.py logs --level WARNING` says why this does not."
        yield Check(program.capitalize(), bool(processes), "; ".join(processes) or "no process lives", hint)


def _in_words(process: Living) -> str:
    busy = "" if process.ticket is None else f", at ticket {process.ticket}"
    return f"{process.pid} on {process.host} since {moment(process.since)}{busy}"


def _mirror(settings: Settings) -> Iterator[Check]:
    if settings.mirror_path is None:
        yield Check("Mirror", True, "none: nothing is mirrored, and there are no uploads")
        return
    yield _disk("Mirror", settings.mirror_path, settings.min_free_disk)


def _disk(what: str, folder: Path, least: int) -> Check:
    """Whether the folder is there, and its disk has `least` bytes free."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(what, False, f"{folder}: {error.strerror}", "Make the folder, and let this user write to it.")
    found = f"{folder}, {free / GIB:.1f} GiB free"
    if not writable:
        return Check(what, False, found, "Is it mounted? Then let this user write to it.")
    return Check(what, free >= least, found, f"Make room: at least {least / GIB:.2f} GiB have to be free.")


def _port(settings: Settings) -> Check:
    host, port = settings.api_listen
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            ours = b'{"alive": true}' in connection.makefile("rb").read(2048)
    except OSError:
        return Check("Port", True, f"{host}:{port} is free; the server does not run")
    running = (VAR / "supervisord.pid").exists()
    found = "our server answers" if ours else "another program answers"
    return Check("Port", ours, f"{host}:{port}: {found}", "" if running else "Choose another port in API_LISTEN.")
