"""Links that were fetched before, and whether they still lead to the same content.

A host is asked with the validators of its last answer. Its word that nothing has changed counts only when all that it
says agrees with what it said before; everything else means that the file is downloaded again.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from knossosd.conversion.cache import Cache, Record
from knossosd.conversion.errand import Check
from knossosd.conversion.http import Response, WebClient
from knossosd.conversion.store import Store
from knossosd.faults import Fault
from knossosd.repo.contents import Digest

SETTLED = 60
"""Seconds for which a file must not have changed before the time of its last change says which version it is: within
one tick of a host's clock it may change twice (RFC 9110, section 8.8.2.2)."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What a host said of a content: where redirects led to, its strong ETag, or else the time of its last change."""

    url: str
    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, response: Response, url: str) -> Self:
        """The validators that came with an answer, which `url` gave in the end."""
        etag = response.headers.get("ETag", "")
        if etag and not etag.startswith("W/"):
            return cls(url, etag=etag)
        changed = response.headers.get("Last-Modified")
        if changed and _is_settled(changed, response.headers.get("Date", "")):
            return cls(url, last_modified=changed)
        return cls(url)


@dataclass(frozen=True, slots=True)
class Known:
    """A link that was fetched: the content's digest and validators, and when that was (epoch seconds)."""

    digest: Digest
    validators: Validators
    fetched: float

    @classmethod
    def of(cls, record: Record) -> Self:
        """What a record of the cache says."""
        return cls(Digest(**record["digest"]), Validators(**record["validators"]), float(record["fetched"]))

    @property
    def conditions(self) -> dict[str, str]:
        """The headers of a request that asks whether the content has changed; none when there is no asking."""
        if self.validators.etag:
            return {"If-None-Match": self.validators.etag}
        if self.validators.last_modified:
            return {"If-Modified-Since": self.validators.last_modified}
        return {}

    def is_confirmed(self, response: Response, url: str, client: WebClient) -> bool:
        """Whether the answer 304 from `url` means that the content is still the same.

        Hosts answer so to a date also when the file was replaced by an *older* one. So they are asked for its size and
        date as well.
        """
        length = response.headers.get("Content-Length", "")
        if length not in ("", "0", str(self.digest.size)):
            return False
        if self.validators.etag:
            return response.headers.get("ETag") in (None, self.validators.etag) and _same_place(
                url, self.validators.url
            )
        if url != self.validators.url:
            return False
        try:
            with client.request("HEAD", url) as head:
                return (
                    head.status == 200
                    and head.headers.get("Last-Modified") == self.validators.last_modified
                    and head.headers.get("Content-Length") == str(self.digest.size)
                )
        except Fault:
            return False


@dataclass(frozen=True, slots=True)
class KnownLinks:
    """The links that the `cache` has records of, as far as the `store` still has their content. `check` raises when
    nobody waits for it any more."""

    cache: Cache
    store: Store
    check: Check = lambda: None

    def find(self, link: str, into: Path) -> Known | None:
        """What is known of the link; then the new file `into` is its content. None when too little is known."""
        known = self.cache.recall("links", link, Known.of)
        return known if known and self.store.take(known.digest, into) else None

    def keep(self, link: str, known: Known, file: Path) -> bool:
        """Remember that the link gave the content of `file`. Whether that was stored before, from elsewhere."""
        was_stored = self.store.keep(file, known.digest, self.check)
        self.cache.remember("links", link, asdict(known))
        return was_stored

    def forget(self, link: str) -> None:
        """Remember the link no longer."""
        self.cache.forget("links", link)


def _is_settled(changed: str, now: str) -> bool:
    try:
        return (_date(now) - _date(changed)).total_seconds() >= SETTLED
    except (ValueError, OverflowError):
        return False


def _date(said: str) -> datetime:
    """Without a zone it is in UTC, as all dates of HTTP are."""
    date = parsedate_to_datetime(said)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _same_place(one: str, other: str) -> bool:
    """Whether two addresses differ in nothing but their query, where hosts put signatures and dates."""
    return urlsplit(one)._replace(query="") == urlsplit(other)._replace(query="")
