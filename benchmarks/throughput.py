#!/usr/bin/env python3
"""How many small conversions workers get done in a minute, and what one of them costs.

    python benchmarks/throughput.py [--quick]

The programs are those of a real server: Valkey, the web process, and the consumer with one worker, then with two.
The archives come from a web server in a process of its own, and every ticket has another one, so that nothing is known
before. All tickets of a round are queued before the consumer starts, and the first ones, which warm it up, do not
count. Then, for each round:

    per minute  conversions done in a minute, from the end of the first that counts to the end of the last
    ms, median  from the moment a worker takes a ticket to its outcome: half of the tickets take no longer
    ms, 95 %    the same for 95 of 100 tickets
    CPU ms      processor time of the workers and their 7-Zip for one conversion, the first ones included
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
from checkout import Checkout
from corpora import age, small_mod
from report import Row, print_table

from tests.checkouts import free_port, wait_until

TICKETS = 300
WARM_UP = 20
ROUNDS = 3
WORKERS = (1, 2)
PATIENCE = 600.0
"""Seconds that a round may take."""


@contextmanager
def archives(checkout: Checkout, folder: Path, count: int) -> Iterator[list[str]]:
    """So many different small archives behind a web server in a process of its own; gives their links."""
    port = free_port()
    made = age([small_mod(folder / f"{number}.zip", number) for number in range(count)])
    with checkout.running(
        sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)
    ):
        yield [f"http://127.0.0.1:{port}/{archive.name}" for archive in made]


def submit(checkout: Checkout, link: str) -> int:
    name = link.rpartition("/")[2]
    file = {"filename": name, "urls": [link]}
    package = {"name": "Core", "files": [file]}
    mod = {"id": f"mod_{name.partition('.')[0]}", "title": "B", "version": "1.0.0", "packages": [package]}
    return checkout.submit(mod)[0]


def measure(checkout: Checkout, links: Sequence[str], workers: int) -> Row:
    """The figures of one round, by the headings of the table."""
    tickets = [submit(checkout, link) for link in links]
    command = ("huey_consumer", "knossosd.tasks.huey", "-k", "process", "-w", str(workers), "-n")
    with checkout.running(*command, stop=signal.SIGINT) as consumer:
        for ticket in reversed(tickets):
            wait_until(lambda ticket=ticket: checkout.state(ticket) == "DONE", "all tickets are done", PATIENCE)
        cpu = sum(sum(child.cpu_times()[:4]) for child in psutil.Process(consumer.pid).children())
    done = sorted((_status(checkout, ticket) for ticket in tickets), key=lambda status: status["time"])
    assert all(status["success"] for status in done)
    counted = done[WARM_UP:]
    milliseconds = [1000 * status["runtime"] for status in counted]
    return {
        "tickets": len(counted),
        "per minute": round(60 * (len(counted) - 1) / (counted[-1]["time"] - counted[0]["time"])),
        "ms, median": median(milliseconds),
        "ms, 95 %": quantiles(milliseconds, n=20)[-1],
        "CPU ms": 1000 * cpu / len(tickets),
    }


def _status(checkout: Checkout, ticket: int) -> Any:
    return checkout.get(f"/api/converter/get_status/{ticket}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of a few tickets")
    arguments = parser.parse_args()
    tickets, rounds, numbers = (10, 1, (1,)) if arguments.quick else (TICKETS, ROUNDS, WORKERS)
    cases = [(workers, number) for workers in numbers for number in range(1, rounds + 1)]
    size = WARM_UP + tickets
    results = {}
    with (
        Checkout.temporary() as checkout,
        tempfile.TemporaryDirectory(prefix="archives") as folder,
        archives(checkout, Path(folder), size * len(cases)) as links,
        checkout.redis(),
        checkout.web(),
    ):
        for place, (workers, number) in enumerate(cases):
            row = measure(checkout, links[place * size : (place + 1) * size], workers)
            results[f"{workers} worker{'s' if workers > 1 else ''}, round {number}"] = row
    print_table("Small conversions", results)


if __name__ == "__main__":
    main()
