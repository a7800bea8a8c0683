"""Web processes of a checkout on its own Valkey, beside as many minimal ones to compare with."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from checkout import Checkout

from knossosd.settings import Settings
from knossosd.tickets.connection import connect
from knossosd.tickets.store import Tickets
from tests.checkouts import KEY, free_port, wait_until

MINIMAL = Path(__file__).with_name("minimal.py")


class Servers(NamedTuple):
    """Processes that share a port."""

    port: int
    processes: list[psutil.Process]

    def memory(self) -> int:
        """Bytes that they have resident."""
        return sum(process.memory_info().rss for process in self.processes)

    def cpu(self) -> float:
        """Seconds of processors that they have used."""
        return sum(used.user + used.system for used in (process.cpu_times() for process in self.processes))


class Installation(NamedTuple):
    """What runs: web processes, as many minimal ones, and what their Redis holds."""

    web: Servers
    minimal: Servers
    tickets: Tickets


@contextmanager
def installed(processes: int) -> Iterator[Installation]:
    """Run `processes` web processes, and as many minimal ones."""
    with ExitStack() as stack:
        checkout = stack.enter_context(Checkout.temporary())
        settings = Settings(REDIS=stack.enter_context(checkout.redis()), API_KEYS=(KEY,))
        tickets = Tickets(connect(settings, "benchmark"), settings)
        stack.callback(tickets.client.close)
        web, minimal = Servers(checkout.port, []), Servers(free_port(), [])
        for number in range(1, processes + 1):
            serving = stack.enter_context(checkout.running(sys.executable, "knossosd.py", "serve"))
            wait_until(lambda number=number: checkout.said().count("listening") == number, "a web process listens")
            web.processes.append(psutil.Process(serving.pid))
            comparing = stack.enter_context(checkout.running(sys.executable, str(MINIMAL), str(minimal.port)))
            minimal.processes.append(psutil.Process(comparing.pid))
        wait_until(lambda: _listens(minimal.port), "the minimal processes listen")
        yield Installation(web, minimal, tickets)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
