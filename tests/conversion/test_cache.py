"""Records: an aid, never the truth."""

import logging
from pathlib import Path

import pytest

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


def test_a_record_for_which_there_is_no_place_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path / "cache")
    cache.remember("links", "key", {"a": 1})
    [path] = cache.files()
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        cache.remember("links", "key", {"a": 2})
        assert cache.recall("links", "key") is None
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        f"the record {path} cannot be written and is left out",
        f"the record {path} cannot be read and is left out",
    ]
    assert list(path.parent.iterdir()) == [path]


def test_one_that_recalls_nothing_still_remembers(tmp_path: Path) -> None:
    forgetful = Forgetful(tmp_path / "cache")
    forgetful.remember("links", "key", {"a": 1})
    assert forgetful.recall("links", "key") is None
    assert Cache(tmp_path / "cache").recall("links", "key") == {"a": 1}
