"""What is remembered is bounded in bytes and time."""

import os
import time
from pathlib import Path

import pytest

from knossosd.conversion.cache import Cache
from knossosd.conversion.digest import digest_file
from knossosd.conversion.memory import Memory
from knossosd.conversion.store import Store


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(Cache(tmp_path / "cache"), Store(tmp_path / "store"), max_size=1000, lifetime=1000.0)


def remember(memory: Memory, key: str, size: int, age: float) -> Path:
    """A record of about so many bytes that was recalled so long ago."""
    before = set(memory.cache.files())
    memory.cache.remember("kind", key, {"x": "x" * (size - 8)})
    [path] = set(memory.cache.files()) - before
    os.utime(path, times=(time.time() - age,) * 2)
    return path


def test_what_was_of_no_use_for_too_long_goes(memory: Memory) -> None:
    young, old = remember(memory, "young", 100, 900), remember(memory, "old", 100, 1100)
    assert memory.trim() == [old]
    assert list(memory.cache.files()) == [young]


def test_when_there_is_too_much_the_longest_unused_goes(memory: Memory) -> None:
    oldest, newer, newest = (remember(memory, str(age), 400, age) for age in (30, 20, 10))
    assert memory.cache.recall("kind", "30") is not None
    assert memory.trim() == [newer]
    assert set(memory.cache.files()) == {oldest, newest}


def test_only_archives_without_another_name_count(memory: Memory, tmp_path: Path) -> None:
    for name in ("published", "failed"):
        (tmp_path / name).write_text(name * 1000)
        memory.store.keep(tmp_path / name, digest_file(tmp_path / name))
    (tmp_path / "failed").unlink()
    assert [one.size for one in memory.contents()] == [6000]
    assert len(memory.trim()) == 1
    assert [path.samefile(tmp_path / "published") for path in memory.store.folder.glob("??/*")] == [True]


def test_clearing_leaves_only_what_has_a_name(memory: Memory, tmp_path: Path) -> None:
    (tmp_path / "published").write_text("x")
    memory.store.keep(tmp_path / "published", digest_file(tmp_path / "published"))
    remember(memory, "record", 100, 0)
    assert len(memory.clear()) == 1
    assert memory.records() == []
    assert (tmp_path / "published").stat().st_nlink == 2
