"""What is remembered and what does not stay: shown, forgotten and tidied at the command line."""

import json
import time
from pathlib import Path

import pytest
import redis

from knossosd.conversion.cache import Cache
from knossosd.conversion.digest import digest_file
from knossosd.conversion.store import Store
from knossosd.settings import load
from knossosd.tickets.store import Tickets
from tests.checkouts import wait_until
from tests.cli.test_app import verb


class Installation:
    """A mirror with an old upload, an archive that no mod published, and one that a mod did; and a record."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.mirror = folder / "mirror"
        self.settings = folder / "settings.py"
        values = {"MIRROR_PATH": str(self.mirror), "MIRROR_URL": "http://m.example", "UPLOAD_PATH": "up", **settings}
        self.settings.write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
        self.upload = self._keep("up/upload", b"1")
        self.upload = self.upload.rename(self.upload.with_name(digest_file(self.upload).sha256))
        self.failed = self._keep("failed", b"22")
        self.failed.unlink()
        self.published = self._keep("mod/1.0.0/core.7z", b"333")
        Cache(self.mirror / ".cache").remember("links", "x", {"long": "x" * 100})

    def _keep(self, name: str, content: bytes) -> Path:
        file = self.mirror / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        Store(self.mirror / ".store").keep(file, digest_file(file))
        return file

    def files(self) -> dict[str, int]:
        """All files below the mirror: how many there are in each of its folders."""
        found = [path.relative_to(self.mirror).parts[0] for path in self.mirror.rglob("*") if path.is_file()]
        return {name: found.count(name) for name in sorted(set(found))}

    def tell(self, *arguments: str) -> str:
        done = verb(*arguments, settings=str(self.settings))
        assert done.returncode == 0, done.stderr
        return done.stdout


ALL = {".cache": 1, ".store": 3, "mod": 1, "up": 1}


@pytest.fixture
def greedy(tmp_path: Path, valkey: str, redis_client: redis.Redis) -> Installation:
    """An installation that keeps as little as possible."""
    found = Installation(tmp_path, CACHE_SIZE=1, STORE_PROTECTION=0, UPLOAD_LIFETIME=1, REDIS=valkey)
    wait_until(lambda: time.time() - found.upload.stat().st_ctime > 1, "the upload is old")
    return found


def test_what_is_remembered_is_shown(greedy: Installation) -> None:
    shown = json.loads(greedy.tell("cache", "--json"))
    assert shown["unpublished archives"] == {"number": 1, "bytes": 2}
    assert shown["records"]["number"] == 1
    assert "unpublished archives         1" in greedy.tell("cache")


def test_tidying_tells_first_and_removes_then(greedy: Installation) -> None:
    would = greedy.tell("tidy", "--dry-run")
    assert greedy.files() == ALL
    assert str(greedy.upload) in would
    assert "Would remove 1 unused uploads: 1 bytes." in would
    assert "Would remove 2 records and unpublished archives: " in would
    assert "Would remove 0 pieces of abandoned work: 0 bytes." in would
    assert greedy.tell("tidy") == would.replace("Would remove", "Removed")
    assert greedy.files() == {".store": 1, "mod": 1}
    assert "Removed 0 unused uploads: 0 bytes." in greedy.tell("tidy")


def test_an_upload_stays_as_long_as_a_ticket_names_it(greedy: Installation, redis_client: redis.Redis) -> None:
    tickets = Tickets(redis_client, load(greedy.settings))
    receipt = tickets.create(f'"http://m.example/up/{greedy.upload.name}"', title="")
    assert "Would remove 0 unused uploads: 0 bytes." in greedy.tell("tidy", "--dry-run")
    assert "Removed 0 unused uploads: 0 bytes." in greedy.tell("tidy")
    tickets.forget(receipt.ticket)
    assert "Removed 1 unused uploads: 1 bytes." in greedy.tell("tidy")


def test_without_redis_the_rest_is_tidied(greedy: Installation) -> None:
    with greedy.settings.open("a") as file:
        file.write("REDIS = 'unix:///nobody/is/there'\n")
    done = verb("tidy", settings=str(greedy.settings))
    assert done.returncode == 0
    assert "Removed 0 unused uploads: 0 bytes.\nRemoved 2 records" in done.stdout
    assert done.stderr.startswith("Redis cannot be reached, so no upload is removed: ")
    assert greedy.upload.exists()


def test_what_is_protected_or_young_stays(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    assert "Removed 0 records and unpublished archives: 0 bytes." in installation.tell("tidy")
    assert "Removed 1 records and unpublished archives: " in installation.tell("forget")
    assert installation.files() == {name: number for name, number in ALL.items() if name != ".cache"}


def test_forgetting_tells_first_and_removes_then(greedy: Installation) -> None:
    would = greedy.tell("forget", "--dry-run")
    assert greedy.files() == ALL
    assert "Would remove 2 records and unpublished archives: " in would
    assert greedy.tell("forget") == would.replace("Would remove", "Removed")
    assert greedy.files() == {".store": 2, "mod": 1, "up": 1}
