"""A copy of this checkout, whose programs run as real processes."""

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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import redis

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis")
PATIENCE = 40.0
KEY = "a-key-for-tests"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until `holds` gives something true, and return that."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < deadline, f"gave up waiting until {what}"
        time.sleep(0.05)
    return found


class Checkout:
    """A copy of the checkout in `folder`, with settings of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
        values = {
            "API_KEYS": (KEY,),
            "API_LISTEN": ("127.0.0.1", self.port),
            "MIRROR_PATH": "var/mirror",
            "MIRROR_URL": f"{self.url}/mirror",
            "UPLOAD_PATH": "uploads",
            "TRUSTED_HOSTS": ("127.0.0.1",),
            "WRONG_KEYS": 1000,  # many tests want to be refused, and all come from one address
            "RUN_AS": "root",  # if root runs the tests, that is meant
            **settings,
        }
        lines = [f"{name} = {value!r}\n" for name, value in values.items() if value is not None]
        (folder / "conf" / "settings.py").write_text("".join(lines))
        (folder / "conf" / "settings.py").chmod(0o600)
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._started: list[subprocess.Popen[Any]] = []

    @property
    def environment(self) -> dict[str, str]:
        """Only this interpreter's programs are found, and no server or 7-Zip of the system."""
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        return {
            "PATH": path,
            "HOME": str(self.folder),
            "TMPDIR": str(self.temporary),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program in the checkout."""
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, **options)
        self._started.append(process)
        return process

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in the checkout to its end."""
        options = {"text": True, "capture_output": True, "timeout": PATIENCE, "check": False, **options}
        return subprocess.run(command, cwd=self.folder, env=self.environment, **options)

    def verb(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb of the command line."""
        return self.run(sys.executable, "knossosd.py", *arguments, **options)

    def start_web(self) -> subprocess.Popen[Any]:
        """Start a web process alone, and wait until it answers."""
        (self.folder / "var" / "log").mkdir(parents=True, exist_ok=True)
        with (self.folder / "var" / "log" / "web.log").open("a") as log:
            web = self.start(sys.executable, "knossosd.py", "serve", stdout=log, stderr=log)
        self.wait_until_ready()
        return web

    def start_supervisor(self) -> subprocess.Popen[Any]:
        """Start everything, and wait until it answers."""
        (self.folder / "var" / "log").mkdir(parents=True, exist_ok=True)
        supervisor = self.start("supervisord", "-n", "-c", "supervisord.conf", stdout=subprocess.DEVNULL)
        self.wait_until_ready()
        return supervisor

    def supervisorctl(self, *arguments: str) -> str:
        return self.run("supervisorctl", "-c", "supervisord.conf", *arguments).stdout

    def wait_until_ready(self) -> None:
        try:
            wait_until(self._answers, f"{self.url} answers")
        except AssertionError as error:
            raise AssertionError(f"{error}; the logs say:\n{self.logs()}") from None

    def _answers(self) -> bool:
        try:
            self.get("/api/converter/get_status/1")
        except urllib.error.HTTPError as error:
            return error.code == 404
        except OSError:
            return False
        return True

    def is_ready(self) -> bool:
        """Whether it says that it could convert now."""
        try:
            return bool(self.get("/readyz")["ready"])
        except urllib.error.HTTPError:
            return False

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.folder / "var" / "log").glob("*.log")))

    def log_lines(self, name: str) -> list[dict[str, Any]]:
        """What the program `name` has logged, each line of which must be JSON."""
        return [json.loads(line) for line in (self.folder / "var" / "log" / f"{name}.log").read_text().splitlines()]

    def processes(self) -> list[psutil.Process]:
        """Every process that works in this checkout, or was started with its paths."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                if process.pid != os.getpid() and (str(self.folder) in words or process.cwd() == str(self.folder)):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def redis(self) -> redis.Redis:
        """A client of its embedded server."""
        return redis.Redis(unix_socket_path=str(self.folder / "var" / "redis.sock"), decode_responses=True)

    def get(self, path: str, **headers: str) -> Any:
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def post(self, path: str, **fields: Any) -> Any:
        body = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(self.url + path, body, timeout=10) as response:
            return json.load(response)

    def submit(self, document: Any, **fields: str) -> tuple[int, str]:
        answer = self.post("/api/converter/request", passwd=KEY, data=json.dumps(document), **fields)
        assert answer["ticket"] is not None, answer
        return answer["ticket"], answer["token"]

    def state(self, ticket: int) -> str:
        return str(self.get(f"/api/converter/get_status/{ticket}")["state"])

    def outcome(self, ticket: int, token: str) -> Any:
        """Wait until the ticket is done, and retrieve it."""
        wait_until(lambda: self.state(ticket) == "DONE", f"ticket {ticket} is done")
        return self.post("/api/converter/retrieve", ticket=ticket, token=token)

    def stop(self) -> None:
        """End everything that was started, the hard way if need be."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._started):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for left in self.processes():
            try:
                left.kill()
            except psutil.NoSuchProcess:
                continue


@contextmanager
def checkout(**settings: Any) -> Iterator[Checkout]:
    """A checkout that lives as long as the block."""
    with tempfile.TemporaryDirectory(prefix="ko", ignore_cleanup_errors=True) as folder:
        copy = Checkout(Path(folder).resolve(), **settings)
        try:
            yield copy
        finally:
            copy.stop()


def a_document(*links: str, **more: Any) -> dict[str, Any]:
    """A document with one package that has an archive per link."""
    files = [{"filename": link.rpartition("/")[2], "urls": [link]} for link in links]
    return {
        "id": "my_mod",
        "title": "My Mod",
        "version": "1.0.0",
        "packages": [{"name": "Core", "files": files}],
        **more,
    }
