#!/usr/bin/env python3
"""One process as a worker is, with everything imported and ready: converts a document twice.

    KNOSSOSD_SETTINGS=settings.py python benchmarks/worker.py IN OUT

Prints a line for each conversion: the seconds on the wall, and of processors, those of 7-Zip included. A process of
its own, so that its memory is that of the pipeline and of nothing else.
"""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from knossosd.cli.convert import run
from knossosd.settings import current


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    settings = current()
    for _ in range(2):
        began, used = time.perf_counter(), processors()
        run(source, target, settings, quiet=True, cache=True)
        print(time.perf_counter() - began, processors() - used)


def processors() -> float:
    """Seconds that processors have spent on this process and on the programs that it started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
