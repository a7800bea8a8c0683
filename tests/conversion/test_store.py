"""The content store: every content once, and nobody loses what it holds."""

import threading
from pathlib import Path

import pytest

from knossosd.conversion.digest import digest_file
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.store import Store
from tests.conversion.mirrors import damage


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def make(path: Path, content: bytes = b"content") -> Path:
    path.write_bytes(content)
    return path


def test_a_content_is_kept_under_its_checksum_and_cannot_be_written(store: Store, tmp_path: Path) -> None:
    file = make(tmp_path / "file")
    digest = digest_file(file)
    store.keep(file, digest)
    stored = store.folder / digest.sha256[:2] / digest.sha256
    assert stored.samefile(file)
    assert stored.stat().st_mode & 0o777 == 0o444


def test_a_second_file_of_the_same_content_becomes_a_name_of_the_first(store: Store, tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    store.keep(one, digest_file(one))
    store.keep(two, digest_file(two))
    store.keep(two, digest_file(two))
    assert one.samefile(two)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "store", "two"]


def test_whoever_holds_a_content_keeps_it_when_the_store_forgets_it(store: Store, tmp_path: Path) -> None:
    file = make(tmp_path / "file")
    digest = digest_file(file)
    store.keep(file, digest)
    file.unlink()
    [stored] = store.nameless()
    assert stored.name == digest.sha256
    assert store.take(digest, tmp_path / "held")
    assert list(store.nameless()) == []
    assert not store.remove(stored)
    store.discard(digest.sha256, tmp_path / "held")
    assert (tmp_path / "held").read_bytes() == b"content"
    assert not store.take(digest, tmp_path / "again")


def test_a_content_is_discarded_by_its_last_holder_only(store: Store, tmp_path: Path) -> None:
    one, two, other = make(tmp_path / "one"), make(tmp_path / "two"), make(tmp_path / "other")
    digest = digest_file(one)
    store.keep(one, digest)
    store.keep(two, digest)
    for file in (one, other):  # the first is not the last one, and the other is not of this store
        store.discard(digest.sha256, file)
        assert store.shares(one, digest.sha256)
    two.unlink()
    store.discard(digest.sha256, one)
    assert not store.shares(one, digest.sha256)
    store.discard(digest.sha256, one)


def test_a_damaged_content_is_replaced(store: Store, tmp_path: Path) -> None:
    file = make(tmp_path / "file")
    digest = digest_file(file)
    stored = store.folder / digest.sha256[:2] / digest.sha256
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"cut")
    assert not store.take(digest, tmp_path / "held")
    store.keep(file, digest)
    assert stored.read_bytes() == b"content"


def test_a_sound_file_wins_over_a_damaged_one_of_the_same_size(store: Store, tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    digest = digest_file(one)
    store.keep(one, digest)
    damage(store.place(digest.sha256), b"cOntent")
    store.keep(two, digest)
    assert two.read_bytes() == b"content"
    assert store.shares(two, digest.sha256)
    assert two.stat().st_mode & 0o777 == 0o444
    assert one.read_bytes() == b"cOntent"  # who holds it keeps it, and a verification finds it
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "store", "two"]


def test_the_comparison_with_what_is_stored_can_be_called_off(store: Store, tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    digest = digest_file(one)

    def called_off() -> None:
        raise Cancelled

    store.keep(one, digest, called_off)  # there is nothing to compare
    with pytest.raises(Cancelled):
        store.keep(two, digest, called_off)
    assert store.shares(one, digest.sha256)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "store", "two"]


def test_many_at_once_share_one_content(store: Store, tmp_path: Path) -> None:
    files = [make(tmp_path / str(number)) for number in range(16)]
    digest = digest_file(files[0])
    threads = [threading.Thread(target=store.keep, args=(file, digest)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(file.samefile(files[0]) for file in files)
    assert len(list(store.folder.glob("??/*"))) == 1
