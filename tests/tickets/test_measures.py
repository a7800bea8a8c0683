"""Counters: everything that happens is counted once, whoever does it, and whoever is killed over it."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from knossosd.conversion.observer import Measure
from knossosd.faults import Code, Finding
from knossosd.settings import DAY, HOUR, Settings
from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome, cancel, expire
from knossosd.tickets.execution import Execution
from knossosd.tickets.measures import BEYOND, BOUNDS, Duration, Measured, Tally, bucket_field, expected
from knossosd.tickets.outbox import PATIENCE, DeliveryState, Outbox
from knossosd.tickets.reaper import reap
from knossosd.tickets.record import State
from knossosd.tickets.statistics import Durations, Statistics
from knossosd.tickets.store import QueueFull, Tickets
from tests.checkouts import wait_until
from tests.tickets.steps import claimed, found, vanish
from tests.tickets.test_repeats import Stuttering


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture(params=["once", "twice"])
def tickets(redis_client: redis.Redis, settings: Settings, clock: Clock, request: pytest.FixtureRequest) -> Tickets:
    """Tickets whose scripts are sent once, or twice because the first answer was lost."""
    twice = Stuttering(connection_pool=redis_client.connection_pool)
    return Tickets(redis_client if request.param == "once" else twice, settings, clock)


def counted(tickets: Tickets) -> dict[str, float]:
    """All that was counted, without the durations."""
    totals = Statistics(tickets.client).totals()
    return {field: amount for field, amount in totals.items() if field.split(" ")[0] not in ("duration", "seconds")}


def durations(tickets: Tickets, kind: Duration) -> tuple[float, float]:
    """How many there were, and their seconds."""
    found = Durations.of(kind, Statistics(tickets.client).totals())
    return found.count, pytest.approx(found.seconds)


def failed(*codes: Code) -> Outcome:
    return Outcome(errors=tuple(Finding(code, "Oh.") for code in codes))


@pytest.mark.parametrize(
    ("outcome", "field"),
    [
        (Outcome("{}"), "tickets succeeded"),
        (failed(Code.ARCHIVE_EMPTY, Code.DOWNLOAD_FAILED), "tickets failed archive_empty"),
        (failed(Code.ARCHIVE_EMPTY, Code.DISK_FULL), "tickets dead disk_full"),
        (failed(Code.INTERNAL), "tickets dead internal"),
    ],
)
def test_every_end_is_counted_with_its_outcome(tickets: Tickets, outcome: Outcome, field: str) -> None:
    execution = claimed(tickets, tickets.create("{}", title=""))
    assert execution.finish(outcome)
    execution.finish(outcome)
    assert counted(tickets) == {"submissions": 1, field: 1}


def test_tickets_that_somebody_ends_are_counted(tickets: Tickets) -> None:
    for end, _ in ((cancel, 0), (expire, 1)):
        receipt = tickets.create("{}", title="")
        assert end(tickets, found(tickets, receipt))
        end(tickets, found(tickets, receipt))
    assert counted(tickets) == {"submissions": 2, "tickets cancelled cancelled": 1, "tickets dead ticket_expired": 1}
    assert durations(tickets, Duration.WHOLE)[0] == 1, "how long one lasted that was cancelled says nothing"


def test_what_is_not_taken_is_no_submission(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"max_queue": 1}))
    first = tickets.create("{}", title="", idempotency_key="key")
    assert tickets.create("{}", title="", idempotency_key="key") == first
    with pytest.raises(QueueFull):
        tickets.create("{}", title="")
    assert counted(tickets) == {"submissions": 1}


def test_every_wait_is_measured_and_the_whole(tickets: Tickets, clock: Clock) -> None:
    receipt = tickets.create("{}", title="")
    clock.now += 10
    first = claimed(tickets, receipt)
    assert durations(tickets, Duration.WAITING) == (1, 10)
    clock.now += 100
    first.hand_back("It is to be tried again.")
    clock.now += 5
    claimed(tickets, receipt).finish(Outcome("{}"))
    assert durations(tickets, Duration.WAITING) == (2, 15)
    assert durations(tickets, Duration.WHOLE) == (1, 115)


def test_a_duration_counts_up_to_its_bound(redis_client: redis.Redis, settings: Settings, clock: Clock) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"task_lifetime": 7 * DAY}), clock)
    waits = [0.0, 0.25, 1, 1.5, 43200, 43201]
    for wait in waits:
        receipt = tickets.create("{}", title="")
        clock.now += wait
        claimed(tickets, receipt)
    totals = Statistics(redis_client).totals()
    counts = {bound: totals.get(bucket_field(Duration.WAITING, bound)) for bound in (*BOUNDS, BEYOND)}
    assert {bound: count for bound, count in counts.items() if count} == {
        "0.1": 1,
        "0.25": 1,
        "1": 1,
        "2.5": 1,
        "43200": 1,
        BEYOND: 1,
    }


def test_what_a_conversion_measured_is_counted_with_its_end(tickets: Tickets) -> None:
    with claimed(tickets, tickets.create("{}", title="")) as execution:
        for seconds in (1.5, 2.5):
            execution.measured(Measure.DOWNLOADING, seconds)
            execution.measured(Measure.DOWNLOADED, 2**40)
        execution.measured(Measure.LINK_CHANGED, 1)
        assert counted(tickets) == {"submissions": 1}
        assert execution.finish(Outcome("{}"))
        told = counted(tickets)
    assert told["downloaded_bytes"] == 2**41
    assert told["cache_lookups link miss"] == 1
    assert durations(tickets, Duration.DOWNLOADING) == (2, 4)
    assert counted(tickets) == told, "leaving counts nothing again"


@pytest.mark.parametrize("finishes", [True, False])
def test_what_was_measured_for_a_cancelled_ticket_is_counted_as_well(tickets: Tickets, finishes: bool) -> None:
    receipt = tickets.create("{}", title="")
    with claimed(tickets, receipt) as execution:
        execution.measured(Measure.DOWNLOADED, 1000)
        cancel(tickets, found(tickets, receipt))
        if finishes:
            assert execution.finish(Outcome("{}")) is None
    assert counted(tickets) == {"submissions": 1, "tickets cancelled cancelled": 1, "downloaded_bytes": 1000}


def test_what_was_measured_before_a_ticket_was_handed_back_is_counted(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="")
    for _ in range(2):
        with claimed(tickets, receipt) as execution:
            execution.measured(Measure.DOWNLOADED, 1000)
            execution.hand_back("It is to be tried again.")
    assert counted(tickets) == {"submissions": 1, "downloaded_bytes": 2000}


def test_vanished_workers_are_counted(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="")
    for _ in range(tickets.settings.max_attempts):
        claimed(tickets, receipt)
        vanish(tickets, receipt)
        reap(tickets)
    assert counted(tickets) == {"submissions": 1, "lease_expiries": 3, "tickets dead worker_vanished": 1}


def test_every_attempt_of_a_webhook_is_counted(tickets: Tickets, redis_client: redis.Redis, clock: Clock) -> None:
    taking, noting = Outbox(redis_client, now=clock), Outbox(tickets.client, now=clock)
    ended = claimed(tickets, tickets.create("{}", title="", webhook="https://site.example/")).finish(Outcome("{}"))
    assert ended is not None
    assert ended.delivery is not None

    def attempt(state: DeliveryState) -> None:
        assert ended.delivery is not None
        delivery = taking.take(ended.delivery)
        assert delivery is not None
        noting.note(delivery, "so", state=state)
        noting.note(delivery, "so", state=state)

    attempt(DeliveryState.WAITING)
    clock.now += PATIENCE + 1
    attempt(DeliveryState.WAITING)
    noting.redeliver(ended.delivery)
    attempt(DeliveryState.DELIVERED)
    attempts = {field: amount for field, amount in counted(tickets).items() if field.startswith("webhook")}
    assert attempts == {"webhook_attempts failed": 1, "webhook_attempts given_up": 1, "webhook_attempts delivered": 1}


def test_a_tally_gives_everything_away_once() -> None:
    tally = Tally()
    tally.add(Measure.MIRRORED, 5)
    tally.add(Measure.MIRRORED, 6)
    tally.add(Measure.PUBLISHING, 0.5)
    assert tally.take() == Measured({"mirrored_bytes": 11}, (("publishing", 0.5),))
    assert not tally.take()


def test_what_is_expected_can_be_counted() -> None:
    assert {field.split(" ")[0] for field in expected()} == {
        *("submissions", "lease_expiries", "tickets", "webhook_attempts", "cache_lookups"),
        *("downloaded_bytes", "inspected_bytes", "mirrored_bytes"),
    }


def test_what_cannot_be_counted_stops_nothing(tickets: Tickets, clock: Clock) -> None:
    tickets.client.hset(keys.TOTALS, "submissions", "no number")
    tickets.client.set(keys.slot(clock.now), "no hash")
    receipt = tickets.create("{}", title="", webhook="https://site.example/")
    ended = claimed(tickets, receipt).finish(Outcome("{}"))
    assert ended is not None
    assert ended.delivery in Outbox(tickets.client, now=clock).due()
    assert found(tickets, receipt).success


def test_counters_do_not_outlive_an_installation(tickets: Tickets, clock: Clock) -> None:
    claimed(tickets, tickets.create("{}", title="")).finish(Outcome("{}"))
    assert DAY < tickets.client.ttl(keys.slot(clock.now)) <= DAY + HOUR
    assert 365 * DAY < tickets.client.ttl(keys.TOTALS) <= 400 * DAY


WORKER = """
import sys
from knossosd.conversion.observer import Measure
from knossosd.settings import Settings
from knossosd.tickets import keys
from knossosd.tickets.connection import connect
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Tickets

settings = Settings(REDIS=sys.argv[1])
tickets = Tickets(connect(settings, "worker"), settings)
while numbers := tickets.client.zrange(keys.QUEUE, 0, 0):
    execution = Execution.claim(tickets, int(numbers[0]))
    if execution:
        with execution:
            execution.measured(Measure.DOWNLOADED, 1000)
            execution.measured(Measure.DOWNLOADING, 0.2)
            execution.finish(Outcome("{}"))
"""
TICKETS = 300


@contextmanager
def workers(number: int, url: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen([sys.executable, "-c", WORKER, url]) for _ in range(number)]
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_processes_that_are_killed_take_no_count_with_them(
    redis_client: redis.Redis, valkey: str, settings: Settings
) -> None:
    tickets = Tickets(redis_client, settings)
    receipts = [tickets.create("{}", title="") for _ in range(TICKETS)]
    with workers(4, valkey) as processes:
        for victim, ends in zip(processes[:2], (TICKETS // 6, TICKETS // 3), strict=True):
            wait_until(lambda ends=ends: counted(tickets).get("tickets succeeded", 0) >= ends, "some have ended")
            assert victim.poll() is None, "it is killed while it works"
            victim.kill()
        assert [process.wait(60) for process in processes[2:]] == [0, 0]
    for receipt in receipts:
        if found(tickets, receipt).state is State.WORKING:
            vanish(tickets, receipt)
    for number in reap(tickets)[0]:
        execution = Execution.claim(tickets, number)
        assert execution is not None
        execution.measured(Measure.DOWNLOADED, 1000)
        execution.measured(Measure.DOWNLOADING, 0.2)
        assert execution.finish(Outcome("{}"))
    ends = [found(tickets, receipt) for receipt in receipts]
    assert Counter((one.state, one.success) for one in ends) == {(State.DONE, True): TICKETS}
    vanished = sum(one.vanished for one in ends)
    assert counted(tickets) == {
        "submissions": TICKETS,
        "tickets succeeded": TICKETS,
        "downloaded_bytes": 1000 * TICKETS,
        **({"lease_expiries": vanished} if vanished else {}),
    }
    assert durations(tickets, Duration.WAITING)[0] == sum(one.attempt for one in ends) == TICKETS + vanished
    assert durations(tickets, Duration.WHOLE)[0] == TICKETS
    assert durations(tickets, Duration.DOWNLOADING) == (TICKETS, 0.2 * TICKETS)
