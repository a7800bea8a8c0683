"""What the counters say: how things stand, and the last day."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from knossosd.faults import Code, Finding
from knossosd.settings import DAY, Settings
from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome
from knossosd.tickets.keys import SLOT
from knossosd.tickets.measures import BEYOND, BOUNDS, Duration, bucket_field, seconds_field
from knossosd.tickets.statistics import Durations, Slot, Standing, Statistics, StoreSize
from knossosd.tickets.store import Tickets
from knossosd.tickets.workers import Heartbeat
from tests.checkouts import wait_until
from tests.tickets.steps import claimed
from tests.tickets.test_measures import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def tickets(redis_client: redis.Redis, settings: Settings, clock: Clock) -> Tickets:
    return Tickets(redis_client, settings, clock)


@pytest.fixture
def statistics(redis_client: redis.Redis, clock: Clock) -> Statistics:
    return Statistics(redis_client, clock)


def day(statistics: Statistics) -> list[Slot]:
    return list(statistics.slots(statistics.last_day()))


def test_an_empty_installation_stands_still(statistics: Statistics) -> None:
    assert statistics.standing() == Standing(0, 0.0, 0, 0, 0, (), None)
    assert statistics.totals() == {}
    assert all(slot.fields == {} for slot in day(statistics))


def test_it_says_how_things_stand(tickets: Tickets, statistics: Statistics, clock: Clock) -> None:
    working, failing = (tickets.create("{}", title="", webhook="https://site.example/") for _ in range(2))
    claimed(tickets, working)
    claimed(tickets, failing).finish(Outcome(errors=(Finding(Code.INTERNAL, "Oh."),)))
    tickets.create("{}", title="")
    clock.now += 30
    tickets.create("{}", title="")
    clock.now += 12
    statistics.note_store(StoreSize(3, 2**40))
    assert statistics.standing() == Standing(2, 42.0, 1, 1, 1, (), StoreSize(3, 2**40))
    assert tickets.client.ttl(keys.STORE) > 0


def test_it_knows_the_processes_and_whom_they_serve(statistics: Statistics, redis_client: redis.Redis) -> None:
    beats = [Heartbeat(redis_client, "web", lambda: 3), Heartbeat(redis_client, "web", lambda: 4)]
    beats.append(Heartbeat(redis_client, "worker"))
    for beat in beats:
        beat.start()
    wait_until(lambda: len(statistics.standing().processes) == 3, "all of them live")
    standing = statistics.standing()
    assert standing.workers == 1
    assert sum(one.watchers for one in standing.processes) == 7
    beats[1].stop()
    assert sum(one.watchers for one in statistics.standing().processes) == 3
    for beat in beats:
        beat.stop()


def test_what_happens_stands_in_its_slot(tickets: Tickets, statistics: Statistics, clock: Clock) -> None:
    clock.now += 10
    tickets.create("{}", title="")
    clock.now += SLOT
    receipt = tickets.create("{}", title="")
    clock.now += 40
    claimed(tickets, receipt).finish(Outcome("{}"))
    slots = day(statistics)
    assert len(slots) == DAY // SLOT + 1
    assert [slot.start for slot in slots] == list(range(1_800_000_300 - DAY, 1_800_000_301, SLOT))
    assert slots[-2].fields == {"submissions": 1}
    assert slots[-1].fields["submissions"] == slots[-1].fields["tickets succeeded"] == 1
    assert Durations.of(Duration.WAITING, slots[-1].fields).mean == 40
    assert statistics.totals()["submissions"] == 2


def test_of_several_samples_the_largest_stays(tickets: Tickets, statistics: Statistics, clock: Clock) -> None:
    assert day(statistics)[-1].sampled("waiting") is None
    statistics.sample()
    assert day(statistics)[-1].sampled("waiting") == 0
    receipts = [tickets.create("{}", title="") for _ in range(2)]
    clock.now += 20.5
    statistics.sample()
    for receipt in receipts:
        claimed(tickets, receipt)
    statistics.sample()
    seen = day(statistics)[-1]
    names = ("waiting", "oldest", "working", "workers")
    assert {name: seen.sampled(name) for name in names} == {"waiting": 2, "oldest": 20.5, "working": 2, "workers": 0}
    clock.now += SLOT
    assert day(statistics)[-1].sampled("waiting") is None
    assert tickets.client.ttl(keys.slot(clock.now - SLOT)) > DAY


def test_there_is_no_mean_of_nothing() -> None:
    nothing = Durations.of(Duration.WHOLE, {})
    assert (nothing.count, nothing.mean, nothing.quantile(0.95)) == (0, None, None)


def test_a_quantile_lies_where_the_bounds_say() -> None:
    def of(**counts: int) -> Durations:
        return Durations.of(
            Duration.WHOLE, {bucket_field(Duration.WHOLE, bound.lstrip("b")): n for bound, n in counts.items()}
        )

    assert of(b1=10).quantile(0.5) == 0.75, "half of the way from 0.5 to 1"
    assert of(b1=5, b60=5).quantile(0.5) == 1
    assert of(b1=5, b60=5).quantile(0.75) == 45
    assert Durations.of(Duration.WHOLE, {bucket_field(Duration.WHOLE, BEYOND): 5}).quantile(0.5) == 43200


@given(st.lists(st.floats(0, 90_000), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_in_the_bucket_of_the_true_one(seconds: list[float], share: float) -> None:
    fields: dict[str, float] = {seconds_field(Duration.WHOLE): sum(seconds)}
    edges = [float(bound) for bound in BOUNDS]
    for one in seconds:
        bound = next((bound for bound in BOUNDS if one <= float(bound)), BEYOND)
        field = bucket_field(Duration.WHOLE, bound)
        fields[field] = fields.get(field, 0) + 1
    durations = Durations.of(Duration.WHOLE, fields)
    true = sorted(seconds)[max(0, -int(-share * len(seconds) // 1) - 1)]
    told = durations.quantile(share)
    assert told is not None
    assert durations.count == len(seconds)
    upper = next((edge for edge in edges if true <= edge), edges[-1])
    lower = max((edge for edge in edges if edge < min(true, edges[-1])), default=0.0)
    assert lower - 1e-6 <= told <= upper + 1e-6
