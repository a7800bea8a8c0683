"""Records: an aid, never the truth."""

from pathlib import Path

from knossosd.conversion.cache import Cache, Forgetful


def test_a_record_is_recalled_by_kind_and_key(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.remember("links", "https://host.example/ä?b", {"a": [1, None]})
    cache.remember("links", "https://host.example/ä?b", {"a": [2, None]})
    assert cache.recall("links", "https://host.example/ä?b") == {"a": [2, None]}
    assert cache.recall("links", "other") is None
    assert cache.recall("manifests", "https://host.example/ä?b") is None
    assert len(list(cache.files())) == 1


def test_a_record_that_cannot_be_read_is_none_and_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.remember("links", "key", {"a": 1})
    [path] = cache.files()
    path.write_bytes(b'{"a": ')
    assert cache.recall("links", "key") is None
    assert list(cache.files()) == []


def test_one_that_recalls_nothing_still_remembers(tmp_path: Path) -> None:
    forgetful = Forgetful(tmp_path / "cache")
    forgetful.remember("links", "key", {"a": 1})
    assert forgetful.recall("links", "key") is None
    assert Cache(tmp_path / "cache").recall("links", "key") == {"a": 1}
