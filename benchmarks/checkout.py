"""A copy of this checkout with settings of its own, whose programs run as real processes, to measure them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from corpora import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis")
KEY = "a-key-for-benchmarks"
PATIENCE = 60.0
"""Seconds that a program has for starting or stopping."""

TICK = 0.1


class Checkout:
    """A copy of the checkout in `folder` that listens on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
        (folder / "var").mkdir(mode=0o700)
        settings = {
            "API_KEYS": (KEY,),
            "API_LISTEN": ("127.0.0.1", self.port),
            "MIRROR_PATH": "var/mirror",
            "MIRROR_URL": f"{self.url}/mirror",
            "TRUSTED_HOSTS": ("127.0.0.1",),
        }
        lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
        (folder / "conf" / "settings.py").write_text("".join(lines))

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Self]:
        """A checkout that lives as long as the block."""
        with tempfile.TemporaryDirectory(prefix="kb") as folder:
            yield cls(Path(folder).resolve())

    @contextmanager
    def running(self, *command: str, stop: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
        """A program in the checkout that runs as long as the block, and is stopped by the signal `stop`."""
        path = f"{Path(sys.executable).parent}:{os.defpath}"
        environment = {"PATH": path, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        with (self.folder / "var" / "programs.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(stop)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @contextmanager
    def redis(self) -> Iterator[str]:
        """The embedded Valkey, as long as the block runs; gives its URL."""
        socket_file = self.folder / "var" / "redis.sock"
        with self.running(sys.executable, "knossosd.py", "redis"):
            wait_until(socket_file.exists, "Valkey has started")
            yield f"unix://{socket_file}"

    @contextmanager
    def web(self) -> Iterator[None]:
        """A web process that answers, as long as the block runs."""
        with self.running(sys.executable, "knossosd.py", "serve"):
            wait_until(self._answers, f"{self.url} answers")
            yield

    def log(self) -> str:
        """What the programs have said."""
        return (self.folder / "var" / "programs.log").read_text()

    def submit(self, document: Any) -> int:
        """Submit a document; returns its ticket."""
        fields = {"passwd": KEY, "data": json.dumps(document)}
        body = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{self.url}/api/converter/request", body, timeout=PATIENCE) as response:
            return int(json.load(response)["ticket"])

    def status(self, ticket: int) -> Any:
        """How a ticket is doing."""
        with urllib.request.urlopen(f"{self.url}/api/converter/get_status/{ticket}", timeout=PATIENCE) as response:
            return json.load(response)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/schema.json", timeout=PATIENCE):
            return True
        return False


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until `holds` says yes, for at most `patience` seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up waiting until {what}")
        time.sleep(TICK)
