"""What is remembered is bounded in bytes and time, and nobody loses what they hold."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from knossosd.conversion.cache import Cache
from knossosd.conversion.digest import digest_bytes, digest_file
from knossosd.conversion.disposable import Disposable
from knossosd.conversion.memory import Memory
from knossosd.conversion.store import Store


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(Cache(tmp_path / "cache"), Store(tmp_path / "store"), max_size=1000, lifetime=1000.0, protection=0.0)


def later(memory: Memory, seconds: float) -> Memory:
    """The same memory, so much later."""
    return replace(memory, clock=lambda: time.time() + seconds)


def remember(memory: Memory, key: str, size: int, age: float) -> Path:
    """A record of about so many bytes that was recalled so long ago."""
    before = set(memory.cache.files())
    memory.cache.remember("kind", key, {"x": "x" * (size - 8)})
    [path] = set(memory.cache.files()) - before
    os.utime(path, times=(time.time() - age,) * 2)
    return path


def keep(memory: Memory, file: Path, content: str) -> Path:
    """A content of the store that has the name `file`; returns where it is stored."""
    file.write_text(content)
    digest = digest_file(file)
    memory.store.keep(file, digest)
    return memory.store.place(digest.sha256)


def paths(disposables: list[Disposable]) -> list[Path]:
    return [one.path for one in disposables]


def test_what_was_of_no_use_for_too_long_goes(memory: Memory) -> None:
    young, old = remember(memory, "young", 100, 900), remember(memory, "old", 100, 1100)
    assert paths(memory.superfluous()) == [old]
    assert paths(memory.trim()) == [old]
    assert list(memory.cache.files()) == [young]


def test_when_there_is_too_much_the_longest_unused_goes(memory: Memory) -> None:
    oldest, newer, newest = (remember(memory, str(age), 400, age) for age in (30, 20, 10))
    assert memory.cache.recall("kind", "30", dict) is not None
    assert paths(memory.trim()) == [newer]
    assert set(memory.cache.files()) == {oldest, newest}


def test_only_archives_without_another_name_count(memory: Memory, tmp_path: Path) -> None:
    published = keep(memory, tmp_path / "published", "p" * 9000)
    failed = keep(memory, tmp_path / "failed", "f" * 6000)
    (tmp_path / "failed").unlink()
    assert [(one.path, one.size) for one in memory.contents()] == [(failed, 6000)]
    assert paths(memory.trim()) == [failed]
    assert list(memory.store.folder.glob("??/*")) == [published]


def test_a_protected_archive_stays_however_little_may_be_kept(memory: Memory, tmp_path: Path) -> None:
    stored = keep(memory, tmp_path / "failed", "f" * 6000)
    (tmp_path / "failed").unlink()
    record = remember(memory, "record", 100, 0)
    protecting = replace(memory, protection=3600, lifetime=1)
    assert protecting.forgettable() == memory.records()
    assert paths(protecting.trim()) == [record]
    assert protecting.clear() == []
    assert stored.exists()
    assert paths(later(protecting, 3601).trim()) == [stored]


def test_an_archive_is_protected_from_the_end_of_its_last_use(memory: Memory, tmp_path: Path) -> None:
    stored = keep(memory, tmp_path / "held", "x")
    [used] = {stored.stat().st_ctime}
    while stored.stat().st_ctime == used:  # the clock of files ticks slowly
        (tmp_path / "held").unlink(missing_ok=True)
        os.link(stored, tmp_path / "held")
    (tmp_path / "held").unlink()
    assert memory.contents()[0].used > used


def test_clearing_leaves_only_what_has_a_name(memory: Memory, tmp_path: Path) -> None:
    keep(memory, tmp_path / "published", "x")
    remember(memory, "record", 100, 0)
    assert len(memory.clear()) == 1
    assert memory.records() == []
    assert (tmp_path / "published").stat().st_nlink == 2


def test_archives_that_are_taken_and_removed_at_the_same_time_are_whole_for_those_who_have_them(
    memory: Memory, tmp_path: Path
) -> None:
    """Conversions keep and take the same few contents, while others remove whatever has no name for a moment."""
    greedy = replace(memory, max_size=0)
    contents = [f"content {number}".encode() * 1000 for number in range(3)]
    done, wrong, taken, removed = threading.Event(), [], [], []

    def convert(worker: int) -> None:
        for turn in range(150):
            content = contents[turn % len(contents)]
            mine, digest = tmp_path / f"{worker}-{turn}", digest_bytes(content)
            if memory.store.take(digest, mine):
                taken.append(mine)
            else:
                mine.write_bytes(content)
            memory.store.keep(mine, digest)
            if mine.read_bytes() != content:
                wrong.append(mine)
            mine.unlink()

    def tidy() -> None:
        while not done.is_set():
            removed.extend(greedy.trim())

    workers = [threading.Thread(target=convert, args=(number,)) for number in range(4)]
    tidiers = [threading.Thread(target=tidy) for _ in range(2)]
    for thread in [*workers, *tidiers]:
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    for thread in tidiers:
        thread.join()
    greedy.trim()
    assert wrong == []
    assert taken
    assert removed
    assert greedy.contents() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
