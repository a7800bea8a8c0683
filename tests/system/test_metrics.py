"""Metrics of a whole installation: worker processes, upkeep and web processes add to the same numbers."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import checkouts, hosts
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.hosts import Host
from tests.system.test_upkeep import ask_for
from tests.web.test_metrics import Samples, samples, scraped, value


def change(before: Samples, after: Samples) -> Callable[..., float]:
    """How much a counter has risen."""
    return lambda *key: value(after, *key) - (value(before, *key) if _known(before, *key) else 0)


def _known(found: Samples, name: str, *labels: str) -> bool:
    return (f"knossosd_{name}", frozenset(labels)) in found


def processes(installation: Checkout) -> dict[str, float]:
    found = samples(scraped(installation))
    return {program: value(found, "processes", program) for program in ("web", "worker", "upkeep")}


def now(installation: Checkout) -> Any:
    return installation.get("/api/statistics", Authorization=f"Bearer {KEY}")["now"]


def test_what_an_installation_does_is_counted(installation: Checkout, host: Host, content: bytes) -> None:
    before = samples(scraped(installation))
    hook, link = host.link("/hook", hosts.says(200)), host.link("/counted.7z", hosts.serves(content))
    for version in ("1.0.0", "2.0.0"):
        document = a_document(link, id="counted", version=version)
        assert installation.outcome(*installation.submit(document, webhook=hook))["success"]
    broken = host.link("/broken.7z", hosts.says(200, b"7z\xbc\xaf\x27\x1c" + bytes(100)))
    [error] = installation.outcome(*installation.submit(a_document(broken, id="broken")))["errors"]
    wait_until(
        lambda: change(before, samples(scraped(installation)))("webhook_attempts_total", "delivered") == 2,
        "the webhooks are delivered",
    )
    ask_for(installation, "sample")
    ask_for(installation, "sweep")
    wait_until(lambda: (now(installation)["store"] or {"size": 0})["size"] >= len(content), "the store was looked at")
    after = samples(scraped(installation))
    rise = change(before, after)
    assert rise("submissions_total") == 3
    assert rise("tickets_total", "succeeded") == 2
    assert rise("tickets_total", "failed", error["code"]) == 1
    assert rise("stage_duration_seconds_count", "waiting") == rise("stage_duration_seconds_count", "whole") == 3
    assert rise("stage_duration_seconds_count", "publishing") == 2
    assert rise("downloaded_bytes_total") >= len(content) + 106
    assert rise("mirrored_bytes_total") == 2 * len(content)
    assert rise("cache_lookups_total", "manifest", "hit") >= 1
    assert value(after, "store_bytes") >= len(content)
    wait_until(lambda: processes(installation) == {"web": 1, "worker": 2, "upkeep": 1}, "all processes are told")


@pytest.fixture
def impatient() -> Iterator[Checkout]:
    """An installation that soon takes a silent worker for vanished."""
    with checkouts.checkout(LEASE_TIME=2) as copy:
        copy.start_supervisor()
        yield copy


def test_a_worker_that_is_killed_is_counted_and_its_ticket_once(
    impatient: Checkout, host: Host, content: bytes
) -> None:
    link, begun, go_on = hosts.held(host, content)
    ticket, token = impatient.submit(a_document(link))
    assert begun.wait(30)
    pid = wait_until(lambda: _who_works_on(impatient, ticket), "a worker says that it works on the ticket")
    os.kill(pid, signal.SIGKILL)
    go_on.set()

    def is_taken_over() -> bool:
        ask_for(impatient, "look_after_tickets")
        return impatient.state(ticket) == "DONE"

    wait_until(is_taken_over, "another worker has done it")
    assert impatient.outcome(ticket, token)["success"]
    found = samples(scraped(impatient))
    assert value(found, "lease_expiries_total") == 1
    assert value(found, "tickets_total", "succeeded") == 1
    assert value(found, "stage_duration_seconds_count", "waiting") == 2
    assert value(found, "stage_duration_seconds_count", "whole") == 1
    assert value(found, "mirrored_bytes_total") == len(content)


def _who_works_on(installation: Checkout, ticket: int) -> int | None:
    workers = now(installation)["workers"]
    return next((worker["pid"] for worker in workers if worker["ticket"] == ticket), None)
