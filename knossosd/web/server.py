"""The web process: one gevent server for HTTP and WebSocket.

gevent replaces the blocking parts of the standard library before anything else is imported, here and nowhere else:
nothing in the package imports this module except the verb `serve`.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import fcntl
import gc
import logging
import re
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import IO, Any

import gevent
import redis

from knossosd import parent
from knossosd.privileges import open_private
from knossosd.settings import VAR, Settings
from knossosd.tickets.connection import connect_for_visitors, connect_once, connect_to_listen, greet
from knossosd.tickets.store import Tickets
from knossosd.tickets.workers import Heartbeat
from knossosd.web.app import make_app
from knossosd.web.feed import Feed
from knossosd.web.handler import Server
from knossosd.web.socket import SERVICE_RESTART, SocketHandler, close_all
from knossosd.web.streaming import end_all

log = logging.getLogger("knossosd.web")

BACKLOG = 1024
OPEN_FILES = 20_000
"""Files that the process may have open, if the system lets it. Every connection is one; the usual limit is 1,024."""

FILES_OF_A_CONNECTION = 2
"""The connection, and the file that it brings or fetches."""

PATIENCE = 30.0
"""Seconds that a starting server waits for Redis."""

FAREWELL = 5.0
"""Seconds that a stopping server gives to requests which are being answered."""

PROBE = re.compile(r'"[A-Z]+ /(healthz|readyz|metrics|api/(statistics|converter/get_status/\d+)) HTTP/1\.[01]" 200 ')
"""Requests that are not logged when they go well: they come every few seconds, and would hide everything else."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Ends the process with one line in the log when it cannot begin."""
    from knossosd import tasks  # its Huey instances need patched sockets as well

    files = _allow_open_files()
    host, port = settings.api_listen
    listener, _lock = _listen(host, port)
    client = connect_for_visitors(settings, "web")
    _wait_for(client)
    feed = Feed(client, connect_to_listen(settings, "feed"))
    app = make_app(settings, Tickets(client, settings), tasks.wake, feed)
    gevent.get_hub().print_exception = _log_uncaught  # type: ignore[method-assign, assignment]
    options: Any = {"handler_class": SocketHandler, "log": _RequestLog(), "error_log": logging.getLogger("gevent")}
    server = Server(listener, app, settings, connections=files // FILES_OF_A_CONNECTION, **options)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, gevent.spawn, _stop, server)
    parent.end_with_supervisor(signal.SIGTERM)
    heartbeat = Heartbeat(connect_once(settings, "heartbeat"), "web", lambda: feed.watchers)
    heartbeat.start()
    feed.start()
    gc.freeze()  # what was loaded so far stays for good; searching it for garbage would make everybody wait
    log.info("listening on http://%s:%d", host, port)
    server.serve_forever(stop_timeout=FAREWELL)
    feed.stop()
    heartbeat.stop()
    log.info("stopped")


def _allow_open_files() -> int:
    """Raise the limit to what we want, if the system lets us; returns how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return OPEN_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _stop(server: Server) -> None:
    """Take no more connections, and send watchers to other web processes; `serve_forever` then ends the rest."""
    if server.closed:  # we were told before
        return
    server.stop_accepting()
    with suppress(OSError):
        while accepted := server.do_read():  # the kernel has greeted them in our name
            server.do_handle(*accepted)
    server.close()
    close_all(SERVICE_RESTART)
    end_all()


def _listen(host: str, port: int) -> tuple[socket.socket, IO[str]]:
    """A socket that other web processes of this checkout may share, and the lock that says that we are one of them.

    A shared port would hide that another program has it, so whoever comes first must find it free.
    """
    lock = open_private(VAR / "web.lock")
    try:
        family, address = _resolve(host, port)
        if _is_first(lock):
            _bind(family, address, share=False).close()
        listener = _bind(family, address, share=True)
    except OSError as error:
        log.critical("cannot listen on %s:%d: %s. Is another server running there?", host, port, error.strerror)
        sys.exit(1)
    fcntl.flock(lock, fcntl.LOCK_SH)
    listener.listen(BACKLOG)
    return listener, lock


def _is_first(lock: IO[str]) -> bool:
    """Whether no other web process of this checkout runs. Waits for one that is just finding out the same."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(lock, fcntl.LOCK_SH)
        return False
    return True


def _resolve(host: str, port: int) -> tuple[int, Any]:
    """The family and address to listen on; of several, IPv4, which is what `localhost` means to most clients."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, address


def _bind(family: int, address: Any, *, share: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share and hasattr(socket, "SO_REUSEPORT"):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Head and body of an answer are written one after the other; the second must not wait until the client confirms the
    # first, which takes it up to 40 ms. What is accepted inherits this.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    listener.bind(address)
    return listener


def _wait_for(client: redis.Redis) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            greet(client)
            return
        except redis.RedisError as error:
            if time.monotonic() > deadline:
                log.critical("Redis does not answer: %s", error)
                sys.exit(1)
            gevent.sleep(0.2)


class _RequestLog:
    """What pywsgi writes its lines to."""

    def write(self, line: str) -> None:
        if not PROBE.search(line):
            log.info("%s", line.rstrip())


def _log_uncaught(context: object, _kind: object, error: object, _trace: object) -> None:
    """What gevent does with what a greenlet lets out, instead of writing many lines to standard error."""
    log.error("%s failed", context, exc_info=error if isinstance(error, BaseException) else None)
