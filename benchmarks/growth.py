#!/usr/bin/env python3
"""What happens to the cost as the work grows: it should grow along a straight line.

    python benchmarks/growth.py [--quick] [--plot FILE.png] [CURVE …]

A conversion is measured with more and more files in one archive, with larger and larger files, and with more and more
archives in a document. Each amount is converted several times, each time in a process of its own and with nothing
known before; the quickest counts, for noise only ever adds, and the slowest is shown beside it. Then one ticket goes
through its life, many times, while more and more others wait in a real Valkey. Of each operation the quickest tenth
counts.

How straight a curve is, in plain words: part of every cost is fixed and has to be paid for the smallest amount as well.
So the seconds of the smallest amount are taken off, and what is left is divided by how much more work there was. That
is what one more file, megabyte or archive costs. The column "beside the middle" has this cost divided by the cost at
the middle amount of the table. On a straight line it is 1.00 everywhere; 2.00 in the last row says that one more file
costs twice as much in a large archive as in a middling one. Among few files the fixed cost is nearly all there is, so
the upper rows are mostly noise. The same is shown for the processor time, 7-Zip's included, which suffers less from
what else the machine does. An operation on a ticket has no fixed part: its cost is compared as it is.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from checkout import Checkout
from convert import Conversions, convert, served
from corpora import MB, age, large_members, small_members, small_mod
from report import Row, draw_curves, print_table

from knossosd.conversion.observer import Level
from knossosd.settings import Settings
from knossosd.tickets.connection import connect
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.reaper import reap
from knossosd.tickets.store import Tickets

TRIES = 5
LIVES = 1_000
"""How often a ticket goes through its life among others."""

QUICK_AMOUNTS, QUICK_LIVES = 3, 20

BESIDE = "beside the middle"


class Curve(NamedTuple):
    """What grows, by which amounts, and how an amount's archives are made in a folder."""

    amounts: Sequence[int]
    make: Callable[[Path, int], list[Path]]


MEMBERS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000)
SIZES = (1, 10, 50, 100, 300, 600, 1_000)
ARCHIVES = (1, 2, 5, 10, 25, 50, 100)
WAITING = (1, 10, 100, 1_000, 10_000)

CURVES = {
    "files in a 7z": Curve(MEMBERS, lambda folder, files: [small_members(folder / "a.7z", files, "-mx=3")]),
    "files in a zip": Curve(MEMBERS, lambda folder, files: [small_members(folder / "a.zip", files, "-mx=3")]),
    "MB in a 7z of ten files": Curve(
        SIZES, lambda folder, size: [large_members(folder / "a.7z", 10, size * MB // 10, "-mx=1", "-ms=4g")]
    ),
    "archives in a document": Curve(
        ARCHIVES, lambda folder, count: [small_mod(folder / f"{number}.zip", number) for number in range(count)]
    ),
}
TICKETS = "waiting tickets"


def beside_middle(costs: Mapping[int, float]) -> dict[int, float | str]:
    """What one more costs at each amount but the first, divided by what it costs at the middle one."""
    first, *others = costs
    more = {amount: (costs[amount] - costs[first]) / (amount - first) for amount in others}
    middle = more[list(costs)[len(costs) // 2]]
    return {first: "", **{amount: one / middle for amount, one in more.items()}}


def measure_conversions(curve: Curve, tries: int) -> tuple[dict[str, Row], dict[float, float]]:
    """The table of a curve, and the seconds by amount."""
    measured = _convert_all(curve, tries)
    wall = {amount: min(one.first.wall for one in done) for amount, done in measured.items()}
    cpu = {amount: min(one.first.cpu for one in done) for amount, done in measured.items()}
    beside = beside_middle(wall), beside_middle(cpu)
    table: dict[str, Row] = {
        f"{amount:,}": {
            "seconds": wall[amount],
            "slowest": max(one.first.wall for one in done),
            "CPU seconds": cpu[amount],
            BESIDE: beside[0][amount],
            f"{BESIDE}, CPU": beside[1][amount],
            "memory MB": round(max(one.memory for one in done) / MB),
            "work disk MB": round(max(one.disk for one in done) / MB),
        }
        for amount, done in measured.items()
    }
    return table, dict(wall)


def _convert_all(curve: Curve, tries: int) -> dict[int, list[Conversions]]:
    """Each amount so many times. All amounts take turns, so that a noisy minute does not spoil all tries of one."""
    with tempfile.TemporaryDirectory(prefix="served") as temporary, served(Path(temporary)) as url:
        links = {amount: _make(curve, amount, Path(temporary, str(amount)), url) for amount in curve.amounts}
        rounds = [{amount: _convert_once(links[amount]) for amount in curve.amounts} for _ in range(tries)]
    return {amount: [one[amount] for one in rounds] for amount in curve.amounts}


def _make(curve: Curve, amount: int, folder: Path, url: str) -> list[str]:
    folder.mkdir()
    return [f"{url}/{folder.name}/{archive.name}" for archive in age(curve.make(folder, amount))]


def _convert_once(links: Sequence[str]) -> Conversions:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        return convert(links, Path(folder))


class Stopwatch:
    """Seconds by the name of what they were spent on."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent[name].append(time.perf_counter() - began)


def live(tickets: Tickets, stopwatch: Stopwatch) -> None:
    """Let one ticket go through its life."""
    with stopwatch("create"):
        number = tickets.create("{}", title="Mod 1.0.0").ticket
    with stopwatch("ask for status"):
        tickets.standings([number])
    with stopwatch("claim"):
        execution = Execution.claim(tickets, number)
    assert execution is not None
    with stopwatch("publish an event"):
        execution.log(Level.INFO, "Inspecting core.7z")
    with stopwatch("reap"):
        reap(tickets)
    with stopwatch("finish"):
        execution.finish(Outcome("{}"))
    tickets.forget(number)


def measure_tickets(amounts: Sequence[int], lives: int) -> tuple[dict[str, Row], dict[float, float]]:
    """The table of one ticket's life among others (milliseconds), and the seconds of a whole life by their number."""
    with Checkout.temporary() as checkout, checkout.redis() as url:
        settings = Settings(REDIS=url, MAX_QUEUE=2 * amounts[-1])
        tickets = Tickets(connect(settings, "benchmark"), settings)
        costs = {}
        for before, amount in pairwise((0, *amounts)):
            for _ in range(amount - before):
                tickets.create("{}", title="Mod 1.0.0")
            costs[amount] = _life(tickets, lives)
    whole = {amount: sum(life.values()) for amount, life in costs.items()}
    middle = whole[amounts[len(amounts) // 2]]
    table: dict[str, Row] = {
        f"{amount:,}": {
            **{name: 1000 * seconds for name, seconds in life.items()},
            "all": 1000 * whole[amount],
            BESIDE: whole[amount] / middle,
        }
        for amount, life in costs.items()
    }
    return table, dict(whole)


def _life(tickets: Tickets, lives: int) -> dict[str, float]:
    """Seconds of each operation."""
    stopwatch = Stopwatch()
    for _ in range(lives):
        live(tickets, stopwatch)
    return {name: quantiles(seconds, n=10)[0] for name, seconds in stopwatch.spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("curves", nargs="*", choices=[*CURVES, TICKETS, []], help="which ones; all when none is named")
    parser.add_argument("--quick", action="store_true", help="the first amounts of every curve, once")
    parser.add_argument("--plot", type=Path, help="draw the curves into this PNG")
    arguments = parser.parse_args()
    amounts = slice(QUICK_AMOUNTS) if arguments.quick else slice(None)
    drawn = {}
    for name in arguments.curves or (*CURVES, TICKETS):
        if name == TICKETS:
            table, drawn[name] = measure_tickets(WAITING[amounts], QUICK_LIVES if arguments.quick else LIVES)
            print_table("One ticket's life (milliseconds), by the number of waiting tickets", table)
        else:
            curve = CURVES[name]._replace(amounts=CURVES[name].amounts[amounts])
            table, drawn[name] = measure_conversions(curve, 1 if arguments.quick else TRIES)
            print_table(f"A conversion, by {name}", table)
    if arguments.plot:
        draw_curves(arguments.plot, "Cost as work grows", drawn, "seconds")


if __name__ == "__main__":
    main()
