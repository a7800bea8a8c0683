"""How the processes log: plain lines to standard error, which the supervisor keeps and rotates."""

import logging
import sys


def set_up() -> None:
    """Log to standard error, from INFO on. Called by whatever a process begins with."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("huey").propagate = False  # the consumer gives it a handler of its own
