"""Records: an aid, never the truth."""

import logging
from pathlib import Path

import pytest

from knossosd.conversion import cache
from knossosd.conversion.cache import Cache, Forgetful, Record


def test_a_record_is_recalled_by_kind_and_key(tmp_path: Path) -> None:
    records = Cache(tmp_path / "cache")
    records.remember("links", "https://host.example/ä?b", {"a": [1, None]})
    records.remember("links", "https://host.example/ä?b", {"a": [2, None]})
    assert records.recall("links", "https://host.example/ä?b", dict) == {"a": [2, None]}
    assert records.recall("links", "other", dict) is None
    assert records.recall("manifests", "https://host.example/ä?b", dict) is None
    assert len(list(records.files())) == 1


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff", b"null", b"[1]", b'{"b": 1}', b'{"a": 1}', b'{"a": {"c": 1}}'])
def test_a_record_that_cannot_be_understood_is_none_and_goes(tmp_path: Path, content: bytes) -> None:
    records = Cache(tmp_path / "cache")
    records.remember("links", "key", {"a": {"b": " x "}})

    def read(record: Record) -> str:
        stripped: str = record["a"]["b"].strip()
        return stripped

    assert records.recall("links", "key", read) == "x"
    [path] = records.files()
    path.write_bytes(content)
    assert records.recall("links", "key", read) is None
    assert list(records.files()) == []


def test_a_record_for_which_there_is_no_place_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = Cache(tmp_path / "cache")
    records.remember("links", "key", {"a": 1})
    [path] = records.files()
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        records.remember("links", "key", {"a": 2})
        assert records.recall("links", "key", dict) is None
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        f"the record {path} cannot be written and is left out",
        f"the record {path} cannot be read and is left out",
    ]
    assert list(path.parent.iterdir()) == [path]


def test_a_record_of_another_version_counts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path / "cache").remember("links", "key", {"a": 1})
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    assert Cache(tmp_path / "cache").recall("links", "key", dict) is None


def test_one_that_recalls_nothing_still_remembers(tmp_path: Path) -> None:
    forgetful = Forgetful(tmp_path / "cache")
    forgetful.remember("links", "key", {"a": 1})
    assert forgetful.recall("links", "key", dict) is None
    assert Cache(tmp_path / "cache").recall("links", "key", dict) == {"a": 1}
