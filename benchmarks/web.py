#!/usr/bin/env python3
"""What the web tier carries, in one run: requests, conversions accepted, and watchers, with one web process and two.

    python benchmarks/web.py [--quick] [--processes N …] [--plot FILE.png]

Requests: answers per second on connections that stay open, beside as many minimal processes (one route on Bottle and
gevent, no log) that are asked in turns with ours. Watchers: milliseconds from telling an event (`Execution.log`) to its
arrival in a process that holds watchers; how many events did not arrive; how much of one core the web processes used
meanwhile; how many watchers come per second; and the memory that an idle watcher takes in the web processes.
The server, Valkey and all drivers share the machine, which is noisy: the ratios mean more than the rates.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, Self

from installation import Installation, Servers, installed
from report import Row, draw_bars, print_table
from watchers import allow_sockets

from knossosd.conversion.observer import Level
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from tests.checkouts import KEY

HERE = Path(__file__).parent
DRIVERS = 2
CONNECTIONS = 16
ROUNDS = 10
SECONDS = 0.7
"""What a round takes, for each of the two that are compared."""

ASKED = 100
"""Tickets that the requests are about, in turns."""

PATIENCE = 60.0
"""Seconds that events may be late before they count as lost."""

GOAL = 50.0
"""Milliseconds that 99 of 100 events may be on their way to 1,000 watchers."""

DOCUMENT = json.dumps(
    {
        "id": "bench",
        "title": "B",
        "version": "1.0.0",
        "packages": [
            {
                "name": f"Package {number}",
                "files": [{"filename": f"{number}.7z", "urls": [f"https://host.example/{number}.7z"]}],
            }
            for number in range(5)
        ],
    }
)


class Crowd(NamedTuple):
    """So many watchers, spread over so many tickets, on which so many events happen each second in all."""

    watchers: int
    tickets: int
    pace: int
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.watchers:,} watchers, {self.tickets:,} ticket{'s' * (self.tickets > 1)}, {self.pace} events/s"

    def scaled(self, scale: float) -> Self:
        size = {"watchers": int(self.watchers * scale), "tickets": max(1, int(self.tickets * scale))}
        return self._replace(**size, seconds=self.seconds * scale)


# The largest come last: memory that a crowd has left is used by the next one.
CROWDS = [
    Crowd(1000, 1, 10, 10),
    Crowd(1000, 20, 80, 10),
    Crowd(1000, 1000, 80, 10),
    Crowd(5000, 1, 2, 10),
    Crowd(5000, 100, 80, 10),
]


def get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"


def submission() -> str:
    body = urllib.parse.urlencode({"passwd": KEY, "data": DOCUMENT})
    head = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"POST /api/converter/request HTTP/1.1\r\nHost: localhost\r\n{head}{body}"


def driver(stack: ExitStack, program: str, **order: object) -> subprocess.Popen[str]:
    """Start a driver, which is killed at the end of the `stack` at the latest."""
    command = [sys.executable, HERE / program, json.dumps(order)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = stack.enter_context(subprocess.Popen(command, text=True, **pipes))
    stack.callback(process.kill)
    return process


def answer(process: subprocess.Popen[str]) -> list[float]:
    """The next line that a driver prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a driver has failed")
    return [float(word) for word in line.split()]


class Rate(NamedTuple):
    """Answers per second, and microseconds of processors that the servers spent on each."""

    answers: float
    cpu: float


def rate(servers: Servers, requests: Sequence[str]) -> Rate:
    """How quickly all drivers together are answered."""
    before = servers.cpu()
    with ExitStack() as stack:
        order = {"port": servers.port, "requests": requests, "connections": CONNECTIONS, "seconds": SECONDS}
        drivers = [driver(stack, "load.py", **order) for _ in range(DRIVERS)]
        answers = sum(answer(process)[0] for process in drivers)
    return Rate(answers, (servers.cpu() - before) / (answers * SECONDS) * 1e6)


def requests(installation: Installation, scale: float) -> dict[str, Row]:
    """How many requests are answered. All tickets that this leaves behind are removed."""
    tickets = installation.tickets

    def compared(*asked: str) -> Row:
        present = len(tickets.all())
        pair = ((installation.minimal, [get("/5")]), (installation.web, asked))
        rounds = [[rate(servers, requests) for servers, requests in pair] for _ in range(int(ROUNDS * scale))]
        return {
            "tickets": present,
            "minimal /s": round(median(minimal.answers for minimal, _ in rounds)),
            "ours /s": round(median(ours.answers for _, ours in rounds)),
            "ours / minimal": median(ours.answers / minimal.answers for minimal, ours in rounds),
            "minimal µs": round(median(minimal.cpu for minimal, _ in rounds)),
            "ours µs": round(median(ours.cpu for _, ours in rounds)),
        }

    def statuses(numbers: Sequence[int]) -> list[str]:
        return [get(f"/api/converter/get_status/{number}") for number in numbers]

    waiting, working, done = ([tickets.create(DOCUMENT, title="B").ticket for _ in range(ASKED)] for _ in range(3))
    for number in working:
        claimed(installation, number)
    for number in done:
        claimed(installation, number).finish(Outcome("{}"))
    rows = {
        "get_status, waiting": compared(*statuses(waiting)),
        "get_status, working": compared(*statuses(working)),
        "get_status, done": compared(*statuses(done)),
        "conversions accepted": compared(submission()),
        "get_status, the last ones": compared(*statuses([ticket.number for ticket in tickets.all()[-ASKED:]])),
    }
    tickets.client.flushdb()
    return rows


def watch(installation: Installation, crowd: Crowd, empty: int) -> Row:
    """How quick events reach a crowd, and what it costs. `empty` is the memory of the web processes without it."""
    numbers = [installation.tickets.create("{}", title="B").ticket for _ in range(crowd.tickets)]
    executions = [claimed(installation, number) for number in numbers]
    for execution in executions:
        execution.log(Level.INFO, "hello")
    telling = list(islice(cycle(executions), int(crowd.pace * crowd.seconds)))
    events = Counter(execution.ticket.number for execution in telling)
    watched = list(islice(cycle(numbers), crowd.watchers))
    with ExitStack() as stack:
        drivers = []
        for tickets in (watched[number::DRIVERS] for number in range(DRIVERS)):
            arrivals = sum(events[ticket] for ticket in tickets)
            order = {"tickets": tickets, "arrivals": arrivals, "seconds": crowd.seconds + PATIENCE}
            drivers.append(driver(stack, "watchers.py", port=installation.web.port, **order))
        coming = max(answer(process)[0] for process in drivers)
        memory = installation.web.memory() - empty
        cpu, began = installation.web.cpu(), time.monotonic()
        tell(telling, crowd.pace)
        delays = [delay for process in drivers for delay in answer(process)]
        cpu, elapsed = installation.web.cpu() - cpu, time.monotonic() - began
    installation.tickets.client.flushdb()
    percentiles = quantiles(delays, n=100, method="inclusive")
    return {
        "p50 ms": percentiles[49],
        "p99 ms": percentiles[98],
        "longest ms": max(delays),
        "lost": sum(events[ticket] for ticket in watched) - len(delays),
        "web CPU": cpu / elapsed,
        "watchers/s": round(crowd.watchers / coming),
        "KB per watcher": round(memory / crowd.watchers / 1024),
    }


def tell(executions: Sequence[Execution], pace: int) -> None:
    """Let an event happen on each of the tickets in turn, `pace` in a second."""
    began = time.monotonic()
    for number, execution in enumerate(executions):
        time.sleep(max(0.0, began + number / pace - time.monotonic()))
        execution.log(Level.INFO, f"{time.monotonic():.6f}")


def claimed(installation: Installation, ticket: int) -> Execution:
    """The hold on a ticket that a worker would have."""
    execution = Execution.claim(installation.tickets, ticket)
    assert execution is not None
    return execution


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="how many web processes; 1 and then 2")
    parser.add_argument("--plot", type=Path, help="draw how long events are on their way into this PNG")
    arguments = parser.parse_args()
    scale = 0.1 if arguments.quick else 1.0
    crowds = [crowd.scaled(scale) for crowd in CROWDS]
    allow_sockets(max(crowd.watchers for crowd in crowds))
    delays: dict[str, Row] = {}
    for processes in arguments.processes:
        with installed(processes) as installation:
            title = f"{processes} web process{'es' * (processes > 1)}"
            print_table(f"Requests, {title}", requests(installation, scale))
            watch(installation, Crowd(50, 1, 10, 1), 0)  # so that what is loaded once is not counted
            empty = installation.web.memory()
            rows = {crowd.name: watch(installation, crowd, empty) for crowd in crowds}
            print_table(f"Watchers, {title}", rows)
            delays |= {f"{title}: {name}": row for name, row in rows.items()}
    if arguments.plot:
        draw_bars(arguments.plot, "From an event to its watchers", delays, ("p50 ms", "p99 ms"), GOAL)


if __name__ == "__main__":
    main()
