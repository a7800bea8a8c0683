"""Who may do what: API keys, each with a name and scopes.

Keys that `python knossosd.py keys` drew stand in `conf/keys.json` beside the settings, as their SHA-256: they are drawn
at random, so that a plain hash of them gives nothing away. The plain keys of the setting `API_KEYS` may do everything.
The file is read again when it changes, so a key can be added or revoked while the server runs.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from knossosd.privileges import open_private
from knossosd.settings import Settings, settings_file

KEY_BYTES = 32
"""Random bytes in a key."""


class Scope(StrEnum):
    """What a key may be good for."""

    SUBMIT = "submit"
    UPLOAD = "upload"
    MONITOR = "monitor"
    METRICS = "metrics"


EVERYTHING = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the server knows it: `digest` is the hex SHA-256 of the key, `created` epoch seconds."""

    name: str
    digest: str
    scopes: frozenset[Scope] = EVERYTHING
    created: float = 0.0

    @property
    def owner(self) -> str:
        """A name for whoever has the key, which does not give the key away; the same wherever the key stands."""
        return hashlib.sha256(f"knossosd owner {self.digest}".encode()).hexdigest()[:16]


class Unknown(Exception):
    """There is no key of that name, or there is one already; the message says which."""


class Keyring:
    """The `plain` keys of the settings and those in the file at `path`, which the user `reader` has to read."""

    def __init__(self, plain: Sequence[str], path: Path, reader: str | None = None) -> None:
        self._plain = tuple(Key(f"API_KEYS[{index}]", digest_of(key)) for index, key in enumerate(plain) if key)
        self._path = path
        self._reader = reader
        self._read: tuple[int, int] | None = None
        self._stored: tuple[Key, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The keyring of an installation."""
        return cls(settings.api_keys, settings_file().with_name("keys.json"), settings.run_as)

    def find(self, candidate: str | None, scope: Scope) -> Key | None:
        """The key that `candidate` is, when it is good for `scope`. Every key is compared, whichever matches."""
        if not candidate:
            return None
        offered = digest_of(candidate)
        found = [key for key in self.all() if hmac.compare_digest(key.digest, offered)]
        return next((key for key in found if scope in key.scopes), None)

    def all(self) -> tuple[Key, ...]:
        """All keys, those of the settings first."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return self._plain
        version = (status.st_mtime_ns, status.st_ino)
        if version != self._read:
            self._stored, self._read = tuple(self._load()), version
        return self._plain + self._stored

    def add(self, name: str, scopes: Iterable[Scope]) -> str:
        """Draw a key and keep its digest; returns the key, which nobody can see again. Raises `Unknown`."""
        with self._changing() as keys:
            if name in keys:
                raise Unknown(f"There is a key named {name} already.")
            return self._draw(keys, name, frozenset(scopes))

    def rotate(self, name: str) -> str:
        """Draw a key in place of the one of that name; returns the new one. Raises `Unknown`."""
        with self._changing() as keys:
            return self._draw(keys, name, _known(keys, name).scopes)

    def revoke(self, name: str) -> None:
        """Let the key of that name be good for nothing any more. Raises `Unknown`."""
        with self._changing() as keys:
            del keys[_known(keys, name).name]

    def _draw(self, keys: dict[str, Key], name: str, scopes: frozenset[Scope]) -> str:
        drawn = secrets.token_urlsafe(KEY_BYTES)
        keys[name] = Key(name, digest_of(drawn), scopes, time.time())
        return drawn

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """The stored keys by name; what the block makes of them is stored, by one process at a time."""
        with open_private(self._path.with_name(".keys.lock"), self._reader) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = {key.name: key for key in self._load()} if self._path.exists() else {}
            yield keys
            self._store(keys.values())

    def _load(self) -> Iterator[Key]:
        for entry in json.loads(self._path.read_text(encoding="utf-8")):
            yield Key(entry["name"], entry["digest"], frozenset(map(Scope, entry["scopes"])), entry["created"])

    def _store(self, keys: Iterable[Key]) -> None:
        entries = [{**asdict(key), "scopes": sorted(key.scopes)} for key in keys]
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with open_private(unfinished, self._reader) as file:
            file.write(json.dumps(entries, indent=1) + "\n")
        unfinished.replace(self._path)


def digest_of(key: str) -> str:
    """What is kept of a key: its hex SHA-256."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _known(keys: dict[str, Key], name: str) -> Key:
    if name not in keys:
        raise Unknown(f"There is no key named {name} in the file of keys; those in API_KEYS are changed there.")
    return keys[name]
