#!/usr/bin/env python3
"""What becomes of tickets while parts of the server are killed, for as long as you like.

    python benchmarks/faults.py [--tickets 500] [--every 2.0] [--seed 1] [KIND …]

For each kind of process, and for all of them at random: so many tickets are submitted, watched and reported to a site
while a process of that kind is killed with SIGKILL every so many seconds. In the end it is checked that every ticket
ended once and with the right result, that no watcher missed or saw an event twice, that the site was told of each, and
that nothing was left behind; a row of the table says what happened. Ends with 1 when anything was wrong.
"""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from report import Row, print_table

from tests import checkouts, hosts
from tests.faults.storm import KINDS, SETTINGS, SUPERVISOR, storm
from tests.faults.verdict import verify


def weather(kinds: list[str], tickets: int, every: float, seed: int) -> Row:
    """One storm; the row says what happened in it."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        hosts.running_host() as host,
        checkouts.checkout(**SETTINGS) as installation,
        storm(installation, host, Path(folder), seed) as one,
    ):
        installation.start_supervisor()
        verdict = "all is right"
        try:
            one.rage(kinds, tickets, every)
            one.settle()
            verify(one)
        except Exception as error:  # noqa: BLE001  the border: the other storms are worth seeing all the same
            verdict = where_it_broke(error)
        return {
            "tickets": len(one.cases),
            "kills": sum(one.kills.values()),
            "watchers that came back": sum(bool(case.watcher.breaks) for case in one.cases),
            "webhooks": len(one.told),
            "seconds": round(time.monotonic() - began),
            "verdict": verdict,
        }


def where_it_broke(error: Exception) -> str:
    """The line that did not hold, and what was said about it."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = next(one for one in reversed(frames) if "faults" in one.filename)
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.line} {str(error).partition(chr(10))[0]}"[:160]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    everything = [*KINDS, SUPERVISOR]
    parser.add_argument(
        "kinds", nargs="*", choices=[*everything, []], help="which ones; each and all when none is named"
    )
    parser.add_argument("--tickets", type=int, default=500, help="how many tickets for each kind")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills, give or take a half")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with")
    arguments = parser.parse_args()
    storms = {kind: [kind] for kind in arguments.kinds or everything}
    if not arguments.kinds:
        storms["all of them"] = everything
    rows = {name: weather(kinds, arguments.tickets, arguments.every, arguments.seed) for name, kinds in storms.items()}
    print_table("What becomes of tickets while these are killed", rows)
    if any(row["verdict"] != "all is right" for row in rows.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
