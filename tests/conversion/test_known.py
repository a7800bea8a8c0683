"""Links that were fetched before: nothing is transferred again, and no change is overlooked."""

from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from knossosd.conversion.download import Download
from tests.conversion.test_download import Fetch, fetch
from tests.hosts import Behaviour, Host, Request, serves

__all__ = ["fetch"]

OLD, NEW = b"old content" * 1000, b"new content" * 1000
LONG_AGO, BEFORE_THAT = formatdate(1_600_000_000, usegmt=True), formatdate(1_500_000_000, usegmt=True)


def publishes(content: bytes, **validators: str) -> Behaviour:
    """Serves the content as web servers do: 304 when it is not newer than the client's, by ETag or date."""

    def behave(request: Request) -> None:
        etag, changed = validators.get("ETag"), validators.get("Last_Modified")
        since = request.headers.get("If-Modified-Since")
        if (etag and request.headers.get("If-None-Match") == etag) or (
            changed and since and changed_by(changed, since)
        ):
            request.answer(304, Content_Length=None, **({"ETag": etag} if etag else {}))
        elif request.command == "HEAD":
            request.answer(200, Content_Length=len(content), **validators)
        else:
            request.answer(200, content, **validators)

    return behave


def changed_by(changed: str, since: str) -> bool:
    """Most hosts say that a file has not changed when it is older than what the client has."""
    return changed == since or (changed, since) == (BEFORE_THAT, LONG_AGO)


def bodies(host: Host) -> int:
    """How often a content was sent."""
    return sum(request.command == "GET" and request.sent == 200 for request in host.requests)


def again(fetch: Fetch, *links: str) -> Download:
    fetch.target.unlink()
    return fetch(*links)


@pytest.mark.parametrize("validators", [{"ETag": '"v1"'}, {"Last_Modified": LONG_AGO}])
def test_what_has_not_changed_is_not_transferred_again(host: Host, fetch: Fetch, validators: dict[str, str]) -> None:
    link = host.link("/a.7z", publishes(OLD, **validators))
    first = fetch(link)
    second = again(fetch, link)
    assert (first.was_known, second.was_known) == (False, True)
    assert second.digest == first.digest
    assert fetch.target.read_bytes() == OLD
    assert bodies(host) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"v1"'}, {"ETag": '"v2"'}),
        ({"ETag": '"v1"'}, {}),
        ({"ETag": 'W/"v1"'}, {"ETag": 'W/"v1"'}),
        ({}, {}),
        ({"Last_Modified": BEFORE_THAT}, {"Last_Modified": LONG_AGO}),
        pytest.param({"Last_Modified": LONG_AGO}, {"Last_Modified": BEFORE_THAT}, id="replaced by an older file"),
        pytest.param({"Last_Modified": "just now"}, {"Last_Modified": LONG_AGO}, id="changed just now"),
    ],
)
def test_other_content_under_the_same_link_is_seen(
    host: Host, fetch: Fetch, before: dict[str, str], after: dict[str, str]
) -> None:
    before = {name: formatdate(usegmt=True) if value == "just now" else value for name, value in before.items()}
    link = host.link("/a.7z", publishes(OLD, **before))
    fetch(link)
    host.link("/a.7z", publishes(NEW, **after))
    assert not again(fetch, link).was_known
    assert fetch.target.read_bytes() == NEW


@pytest.mark.parametrize("lie", [{"ETag": '"v2"'}, {"Content_Length": len(OLD) + 1}])
def test_a_confirmation_that_disagrees_with_what_was_said_before_is_no_confirmation(
    host: Host, fetch: Fetch, lie: dict[str, str]
) -> None:
    link = host.link("/a.7z", serves(OLD))
    fetch(link)

    def behave(request: Request) -> None:
        if "If-None-Match" in request.headers:
            request.answer(304, **{"Content_Length": None, **lie})
        else:
            request.answer(200, NEW)

    host.link("/a.7z", behave)
    assert not again(fetch, link).was_known
    assert fetch.target.read_bytes() == NEW


@pytest.mark.parametrize("changed", ["Mon, 01 Jan 2024 00:00:00 -0000", "Mon, 01 Jan 2024 00:00:00"])
def test_a_date_without_a_zone_is_in_that_of_all_hosts(host: Host, fetch: Fetch, changed: str) -> None:
    link = host.link("/a.7z", publishes(OLD, Last_Modified=changed))
    fetch(link)
    assert again(fetch, link).was_known
    assert bodies(host) == 1


@pytest.mark.parametrize(
    "date", [lambda: "yesterday", lambda: "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", lambda: formatdate()[:-6]]
)
def test_a_date_that_tells_nothing_does_not_count(host: Host, fetch: Fetch, date: Callable[[], str]) -> None:
    """It is no date, or one from just now, which says nothing in any zone."""
    changed = date()
    link = host.link("/a.7z", publishes(OLD, Last_Modified=changed))
    fetch(link)
    assert not again(fetch, link).was_known
    assert bodies(host) == 2


def test_a_date_counts_only_with_the_same_size(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", publishes(OLD, Last_Modified=LONG_AGO))
    fetch(link)
    host.link("/a.7z", publishes(NEW + b"!", Last_Modified=LONG_AGO))
    assert not again(fetch, link).was_known
    assert fetch.target.read_bytes() == NEW + b"!"


def test_a_link_that_is_redirected_elsewhere_is_fetched(host: Host, fetch: Fetch) -> None:
    for name, content in (("/v1.7z", OLD), ("/v2.7z", NEW)):
        host.link(name, publishes(content, ETag='"same"'))
    link = host.link("/latest.7z", lambda request: request.answer(302, Location="/v1.7z"))
    fetch(link)
    assert again(fetch, link).was_known
    host.link("/latest.7z", lambda request: request.answer(302, Location="/v2.7z"))
    assert not again(fetch, link).was_known
    assert fetch.target.read_bytes() == NEW


def test_a_redirect_with_another_signature_leads_to_the_same(host: Host, fetch: Fetch) -> None:
    host.link("/v1.7z", publishes(OLD, ETag='"v1"'))
    link = host.link("/a.7z", lambda request: request.answer(302, Location=f"/v1.7z?signed={len(host.requests)}"))
    fetch(link)
    assert again(fetch, link).was_known


def test_what_is_not_stored_any_more_is_fetched(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", publishes(OLD, ETag='"v1"'))
    digest = fetch(link).digest
    fetch.known.store.place(digest.sha256).unlink()
    assert not again(fetch, link).was_known
    assert fetch.target.read_bytes() == OLD


def test_what_is_known_is_never_written_into(host: Host, fetch: Fetch, tmp_path: Path) -> None:
    link = host.link("/a.7z", publishes(OLD, ETag='"v1"'))
    fetch(link)
    fetch.target.rename(tmp_path / "held")
    host.link("/a.7z", publishes(NEW, ETag='"v2"'))
    fetch(link)
    assert (tmp_path / "held").read_bytes() == OLD
    assert fetch.target.read_bytes() == NEW


def test_a_bad_link_leaves_nothing_for_the_next(host: Host, fetch: Fetch) -> None:
    bad = host.link("/a.7z", publishes(OLD, ETag='"v1"'))
    good = host.link("/b.7z", publishes(NEW, ETag='"w1"'))
    fetch(bad)
    host.link("/a.7z", lambda request: request.answer(404))
    assert again(fetch, bad, good).url == good
    assert fetch.target.read_bytes() == NEW
