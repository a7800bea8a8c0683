"""Documents and hosts that mean no good: each ends in a clear message, and leaves nothing behind."""

import json
import urllib.error
from collections.abc import Iterator

import pytest
import redis

from knossosd.conversion.verification import LOCK
from tests import checkouts, hosts
from tests.checkouts import KEY, Checkout, a_document, wait_until

BAD_HOSTS = {
    "slow": (hosts.drips, "download_too_slow"),
    "silent": (hosts.stays_silent, "download_too_slow"),
    "endless": (hosts.never_ends, "download_too_large"),
    "lies": (hosts.says(200, b"x" * 100, Content_Length=500), "download_failed"),
    "loops": (hosts.says(302, Location="/loops"), "download_failed"),
    "page": (hosts.says(200, b"<!doctype html><html></html>"), "html_instead_of_archive"),
    "gone": (hosts.says(404), "download_failed"),
    "broken": (hosts.says(500), "download_failed"),
    "empty": (hosts.says(200), "archive_empty"),
    "text": (hosts.says(200, b"just text"), "archive_unreadable"),
    "elsewhere": (hosts.says(302, Location="http://10.0.0.1/x"), "address_refused"),
}


@pytest.fixture(scope="module")
def impatient(valkey: str) -> Iterator[Checkout]:
    """An installation that gives up soon, on a Redis that the tests can look into."""
    limits = {"IDLE_TIMEOUT": 0.5, "CONNECT_TIMEOUT": 0.5, "DOWNLOAD_ATTEMPTS": 1, "MAX_ARCHIVE_SIZE": 5_000_000}
    redis.Redis.from_url(valkey).flushall()
    with checkouts.checkout(REDIS=valkey, FILES_AT_ONCE=16, **limits) as copy:
        copy.start_supervisor()
        yield copy


@pytest.fixture(autouse=True)
def nothing_is_left(impatient: Checkout, valkey: str) -> Iterator[None]:
    yield
    client = redis.Redis.from_url(valkey, decode_responses=True)
    wait_until(lambda: client.zcard("knossosd:working") == 0, "nothing is being worked on")
    assert [key for key in client.scan_iter() if client.ttl(key) < 0 and not key.startswith("huey.")] == []
    assert [key for key in client.scan_iter("huey.redis.*") if client.llen(key)] == []
    mirror = impatient.folder / "var" / "mirror"
    assert {path.name for path in mirror.rglob("*") if path.is_file()} <= {LOCK}, (
        "it may be verified meanwhile, at night"
    )
    assert list((mirror / ".work").glob("*")) == []


def test_every_bad_host_is_told_in_one_conversion(impatient: Checkout) -> None:
    with hosts.running_host() as host:
        links = [host.link(f"/{name}", behaviour) for name, (behaviour, _) in BAD_HOSTS.items()]
        outcome = impatient.outcome(*impatient.submit(a_document(*links, "http://127.0.0.1:1/down")))
    assert outcome["success"] is False
    told = {error["file"]: error["code"] for error in outcome["errors"]}
    assert told == {name: code for name, (_, code) in BAD_HOSTS.items()} | {"down": "download_failed"}
    assert all(error["message"] and error["hint"] for error in outcome["errors"])


@pytest.mark.parametrize(
    "document",
    [
        "nonsense",
        '{"mods": ' * 50_000,
        json.dumps({"mods": [{} for _ in range(500)]}),
        json.dumps({name: [5, {}, None] for name in a_document("https://host.example/x")}),
    ],
    ids=["no JSON", "nested", "empty mods", "wrong types"],
)
def test_bad_documents_are_told_at_once(impatient: Checkout, document: str) -> None:
    answer = impatient.post("/api/converter/request", passwd=KEY, data=document)
    assert (answer["ticket"], answer["error"]) == (None, True)
    assert answer["errors"]


@pytest.mark.parametrize(
    "document",
    [
        json.dumps({"mods": [a_document("https://host.example/x", version=f"1.{n}.0") for n in range(10_000)]}),
        "x" * 50_000_000,
    ],
    ids=["10,000 mods", "50 MB"],
)
def test_huge_documents_are_refused(impatient: Checkout, document: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        impatient.post("/api/converter/request", passwd=KEY, data=document)
    assert caught.value.code == 413
    assert json.load(caught.value)["errors"]


def test_a_host_that_dies_in_the_middle_is_told(impatient: Checkout) -> None:
    with hosts.running_host() as host:
        link = host.link("/dies.7z", hosts.one_after_the_other(hosts.drops(bytes(10**6), 10**5), hosts.says_raw(b"")))
        outcome = impatient.outcome(*impatient.submit(a_document(link)))
    assert outcome["errors"][0]["code"] == "download_failed"
