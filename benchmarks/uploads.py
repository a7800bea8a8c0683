#!/usr/bin/env python3
"""What many large uploads at once cost a web process: its memory, and how long others wait meanwhile.

    python benchmarks/uploads.py [--quick] [--count 20] [--size 1000]

So many files of so many megabytes are sent over loopback at the same time, in one request each, and in parts. They need
their size on the disk. `before` and `peak` are the resident memory of the web process; `longest wait` is that of a
small request which came every tenth of a second meanwhile.
"""

import argparse
import sys

from checkout import Checkout
from report import Row, print_table

from tests.web.crowd import WAYS, watched

MB = 1_000_000
QUICK = 20


def main() -> None:
    """Measure both ways and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"small files, of {QUICK} MB")
    parser.add_argument("--count", type=int, default=20, help="files at the same time")
    parser.add_argument("--size", type=int, default=1000, help="megabytes of each")
    chosen = parser.parse_args()
    size = QUICK if chosen.quick else chosen.size
    rows = {way: measure(way, chosen.count, size) for way in WAYS}
    print_table(f"{chosen.count} uploads of {size} MB at once", rows)


def measure(way: str, count: int, size: int) -> Row:
    """The cost of so many uploads of so many megabytes, to a fresh web process."""
    with Checkout.temporary() as checkout:
        with (checkout.folder / "conf" / "settings.py").open("a") as settings:
            settings.write(f"MAX_CONTENT_LENGTH = {2 * size * MB}\n")
        with checkout.redis(), checkout.running(sys.executable, "knossosd.py", "serve") as web:
            checkout.wait_until_ready()
            WAYS[way](checkout, count, 2 * MB)
            with watched(checkout, web.pid) as cost:
                WAYS[way](checkout, count, size * MB)
    return {
        "seconds": cost.seconds,
        "MB/s": count * size / cost.seconds,
        "MB before": cost.before / MB,
        "MB peak": cost.peak / MB,
        "longest wait, ms": cost.longest_wait * 1000,
    }


if __name__ == "__main__":
    main()
