"""What earlier conversions found out, in a folder that all workers share: small records by kind and key.

A record is an aid and never the truth: whoever finds none, or one that cannot be read, does the work again.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)

VERSION = 1
"""To be raised by whoever gives the records of any kind another shape or meaning: the ones before count no more."""

Record = dict[str, Any]
Known = TypeVar("Known")


class Cache:
    """The records in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def recall(self, kind: str, key: str, read: Callable[[Record], Known]) -> Known | None:
        """What `read` makes of the record, None when there is none. One that it does not understand is removed.

        A file's `st_mtime` is when its record was last recalled.
        """
        path = self._path(kind, key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("the record %s cannot be read and is left out: %s", path, error)
            return None
        try:
            return read(json.loads(content))
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("the record %s cannot be read and is left out", path)
            path.unlink(missing_ok=True)
            return None

    def remember(self, kind: str, key: str, record: Record) -> None:
        """Keep the record, in place of the one before, if the disk takes it."""
        path = self._path(kind, key)
        try:
            self._write(path, record)
        except OSError as error:
            log.warning("the record %s cannot be written and is left out: %s", path, error)

    def forget(self, kind: str, key: str) -> None:
        """Keep the record no longer."""
        self._path(kind, key).unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        """The files of all records."""
        for path in self.folder.glob("*/??/*"):
            with suppress(FileNotFoundError):
                if path.is_file():
                    yield path

    def _path(self, kind: str, key: str) -> Path:
        name = hashlib.sha256(f"{VERSION} {key}".encode(errors="surrogatepass")).hexdigest()
        return self.folder / kind / name[:2] / f"{name}.json"

    def _write(self, path: Path, record: Record) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
            try:
                file.write(json.dumps(record, separators=(",", ":")))  # json.dump is many times slower
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


class Forgetful(Cache):
    """Recalls nothing and remembers all: for conversions that shall do everything anew."""

    def recall(self, kind: str, key: str, read: Callable[[Record], Known]) -> Known | None:  # noqa: ARG002
        return None
