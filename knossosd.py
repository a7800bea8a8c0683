#!/usr/bin/env python3
"""knossosd: turns repo documents of FreeSpace Open mods into generated repo documents. `--help` lists the verbs."""

from knossosd.cli import main

if __name__ == "__main__":
    main()
