"""API keys: found by their digest, drawn, rotated and revoked while others read."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from knossosd.keyring import EVERYTHING, Keyring, Scope, Unknown

SUBMIT, UPLOAD, MONITOR = Scope.SUBMIT, Scope.UPLOAD, Scope.MONITOR


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keyring(path: Path) -> Keyring:
    return Keyring(("plain", "", "other"), path)


def test_plain_keys_of_the_settings_are_good_for_everything(keyring: Keyring) -> None:
    for scope in Scope:
        found = keyring.find("other", scope)
        assert found is not None
        assert found.name == "API_KEYS[2]"
    for stranger in (None, "", "plain ", "x", "\ud800"):
        assert keyring.find(stranger, SUBMIT) is None


def test_a_drawn_key_is_good_for_its_scopes_only(keyring: Keyring) -> None:
    key = keyring.add("site", [SUBMIT])
    found = keyring.find(key, SUBMIT)
    assert found is not None
    assert (found.name, found.scopes) == ("site", {SUBMIT})
    assert keyring.find(key, UPLOAD) is None
    assert keyring.find(key, MONITOR) is None


def test_no_key_is_stored(keyring: Keyring, path: Path) -> None:
    keys = [keyring.add(name, EVERYTHING) for name in ("a", "b")]
    text = path.read_text()
    assert not any(key in text for key in keys)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one["name"] for one in json.loads(text)] == ["a", "b"]
    assert not any(key in repr(keyring.all()) for key in (*keys, "plain"))


def test_others_see_what_has_changed(keyring: Keyring, path: Path) -> None:
    other = Keyring((), path)
    assert other.all() == ()
    old = keyring.add("site", EVERYTHING)
    assert other.find(old, SUBMIT)
    new = keyring.rotate("site")
    assert other.find(old, SUBMIT) is None
    found = other.find(new, UPLOAD)
    assert found is not None
    assert found.scopes == EVERYTHING
    keyring.revoke("site")
    assert other.find(new, SUBMIT) is None


def test_names_are_unique_and_must_be_known(keyring: Keyring) -> None:
    keyring.add("site", [SUBMIT])
    with pytest.raises(Unknown):
        keyring.add("site", [SUBMIT])
    for unknown in ("x", "API_KEYS[0]"):
        with pytest.raises(Unknown):
            keyring.rotate(unknown)
        with pytest.raises(Unknown):
            keyring.revoke(unknown)
    assert len(keyring.all()) == 3


def test_many_changes_at_once_lose_none(keyring: Keyring, path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Keyring((), path).add(f"key-{number}", [SUBMIT]), range(30)))
    assert {key.name for key in Keyring((), path).all()} == {f"key-{number}" for number in range(30)}


def test_an_owner_is_the_same_wherever_the_key_stands(keyring: Keyring, tmp_path: Path) -> None:
    key = keyring.add("site", EVERYTHING)
    moved = Keyring((key,), tmp_path / "none").find(key, SUBMIT)
    found = keyring.find(key, SUBMIT)
    assert moved is not None
    assert found is not None
    assert moved.owner == found.owner != found.digest
