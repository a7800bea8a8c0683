#!/usr/bin/env python3
"""One process as a worker is, with everything imported and ready: converts a document twice and prints the seconds.

    KNOSSOSD_SETTINGS=settings.py python benchmarks/worker.py IN OUT

A process of its own, so that its memory is that of the pipeline and of nothing else.
"""

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
        began = time.perf_counter()
        run(source, target, settings, quiet=True, cache=True)
        print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
