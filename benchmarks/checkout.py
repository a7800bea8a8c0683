"""The tests' copy of this checkout, with programs that run as long as a block, to measure them."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import checkouts

LOG = "programs.log"
MANY = 100_000


class Checkout(checkouts.Checkout):
    """A copy of the checkout that listens on a free port of this machine."""

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Self]:
        """A checkout that lives as long as the block."""
        with tempfile.TemporaryDirectory(prefix="kb") as folder:
            # All load comes from one address.
            limits = {"CONNECTIONS_PER_ADDRESS": MANY, "WATCHERS_PER_ADDRESS": MANY}
            checkout = cls(Path(folder).resolve(), **limits)
            (checkout.folder / "var" / "log").mkdir(parents=True)
            yield checkout

    @contextmanager
    def running(self, *command: str, stop: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[Any]]:
        """A program in the checkout that runs as long as the block, and is stopped by the signal `stop`."""
        with (self.folder / "var" / "log" / LOG).open("ab") as log:
            process = self.start(*command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(stop)
            try:
                process.wait(checkouts.PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @contextmanager
    def redis(self) -> Iterator[str]:
        """The embedded Valkey, as long as the block runs; gives its URL."""
        socket = self.folder / "var" / "redis.sock"
        with self.running(sys.executable, "knossosd.py", "redis"):
            checkouts.wait_until(socket.exists, "Valkey has started")
            yield f"unix://{socket}"

    @contextmanager
    def web(self) -> Iterator[None]:
        """A web process that answers, as long as the block runs."""
        with self.running(sys.executable, "knossosd.py", "serve"):
            self.wait_until_ready()
            yield

    def said(self) -> str:
        """What the programs have said."""
        return (self.folder / "var" / "log" / LOG).read_text()
