"""`/metrics`: what Prometheus reads.

The numbers stand in Redis, so every web process answers with the same ones, whichever of them a scrape meets, and they
are those of all hosts. What `prometheus_client` measures by itself would be of this one process, and is left out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import bottle
from bottle import HTTPResponse, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from knossosd import __version__
from knossosd.keyring import Keyring, Scope
from knossosd.settings import Settings
from knossosd.tickets.measures import BEYOND, Duration, expected
from knossosd.tickets.statistics import Durations, Fields, Standing, Statistics
from knossosd.web.access import key_of
from knossosd.web.answers import denied
from knossosd.web.clients import Networks
from knossosd.web.disk import Disk

FORWARDED = {"HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA"}
"""What says that a request comes from somebody else than it seems to."""

PROGRAMS = ("web", "worker", "upkeep")


class Described(NamedTuple):
    """A metric: its name without `knossosd_`, what it says, and its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


COUNTERS = (
    Described("submissions", "Tickets that were made."),
    Described("tickets", "Tickets that ended, and the code of what was wrong.", ("outcome", "code")),
    Described("downloaded_bytes", "Bytes that hosts sent, for downloads that failed as well."),
    Described("inspected_bytes", "Unpacked bytes of the archives that were inspected."),
    Described("mirrored_bytes", "Bytes of the archives that got a public name."),
    Described("cache_lookups", "Looks whether something was known already.", ("kind", "result")),
    Described("webhook_attempts", "Attempts to deliver a webhook.", ("outcome",)),
    Described("lease_expiries", "Workers that vanished over a ticket."),
)
"""Their names, and the values of their labels, are the fields of `knossosd.tickets.measures`."""

DURATIONS = Described("stage_duration_seconds", "How long tickets and archives were in a stage.", ("stage",))

WAITING = Described("waiting_tickets", "Tickets that wait for a worker.")
OLDEST = Described("oldest_waiting_ticket_age_seconds", "Age of the oldest ticket that waits; 0 when none does.")
WORKING = Described("working_tickets", "Tickets that a worker holds.")
DEAD = Described("dead_tickets", "Tickets that failed through the server's fault and may be retried.")
DELIVERIES = Described("waiting_webhooks", "Webhooks that are still to be delivered.")
PROCESSES = Described("processes", "Processes that live.", ("program",))
BUSY = Described("busy_workers", "Worker processes that are converting.")
WATCHERS = Described("watchers", "WebSockets through which somebody watches a conversion.")
CONTENTS = Described("store_contents", "Contents that the mirror stores.")
STORED = Described("store_bytes", "Bytes of these contents, each of which is there once.")
FREE = Described("disk_free_bytes", "Free bytes where archives are kept.")
BUILD = Described("build_info", "Always 1, with the version of the web process that answers.", ("version",))

Values = dict[tuple[str, ...], float]
"""The values of a metric by those of its labels."""


def install(app: bottle.Bottle, settings: Settings, keyring: Keyring, statistics: Statistics, disk: Disk) -> None:
    """Add the route."""
    registry = CollectorRegistry()
    registry.register(_Numbers(statistics, disk))
    networks = Networks(settings.metrics_networks)

    def is_near() -> bool:
        """Whether who asks is in one of the networks. Of whom a web server in front of us asks for, nobody knows."""
        return not FORWARDED & request.environ.keys() and networks.have(request.environ.get("REMOTE_ADDR", ""))

    def metrics() -> HTTPResponse:
        if not settings.open_monitor and not is_near() and not _has_key(keyring):
            return denied()
        encode, kind = choose_encoder(request.get_header("Accept", ""))
        return HTTPResponse(encode(registry), 200, {"Content-Type": kind, "Cache-Control": "no-store"})

    app.get("/metrics", callback=metrics)


def _has_key(keyring: Keyring) -> bool:
    return any(key_of(request.environ, keyring, scope) for scope in (Scope.METRICS, Scope.MONITOR))


class _Numbers(Collector):
    """Everything that is told, as it is at the moment when it is asked for."""

    def __init__(self, statistics: Statistics, disk: Disk) -> None:
        self._statistics = statistics
        self._disk = disk

    def collect(self) -> Iterator[Metric]:
        totals = {**dict.fromkeys(expected(), 0.0), **self._statistics.totals()}
        yield from _counters(totals)
        yield _durations(totals)
        yield from _gauges(self._statistics.standing(), self._disk.free())


def _counters(totals: Fields) -> Iterator[Metric]:
    counted: defaultdict[str, Values] = defaultdict(dict)
    for field, amount in totals.items():
        name, *values = field.split(" ")
        counted[name][tuple(values)] = amount
    for counter in COUNTERS:
        family = CounterMetricFamily(_full(counter), counter.help, labels=counter.labels)
        for labels, amount in sorted(counted[counter.name].items()):
            family.add_metric(_padded(labels, counter), amount)
        yield family


def _padded(values: Sequence[str], described: Described) -> list[str]:
    """The values with an empty one for each label that there is nothing to say of."""
    return [*values, *[""] * (len(described.labels) - len(values))]


def _durations(totals: Fields) -> Metric:
    family = HistogramMetricFamily(_full(DURATIONS), DURATIONS.help, labels=DURATIONS.labels)
    for kind in Duration:
        durations = Durations.of(kind, totals)
        buckets = [(_as_told(bound), count) for bound, count in durations.up_to]
        family.add_metric([kind.value], buckets, durations.seconds)
    return family


def _as_told(bound: str) -> str:
    """The bound as OpenMetrics wants it: always with a point."""
    return bound if bound == BEYOND else repr(float(bound))


def _gauges(standing: Standing, free: int | None) -> Iterator[Metric]:
    yield _gauge(WAITING, standing.waiting)
    yield _gauge(OLDEST, standing.oldest)
    yield _gauge(WORKING, standing.working)
    yield _gauge(DEAD, standing.dead)
    yield _gauge(DELIVERIES, standing.deliveries)
    living = Counter(process.kind for process in standing.processes)
    yield _labelled(PROCESSES, {(program,): living[program] for program in PROGRAMS})
    yield _gauge(BUSY, sum(process.ticket is not None for process in standing.processes))
    yield _gauge(WATCHERS, sum(process.watchers for process in standing.processes))
    yield _gauge(CONTENTS, standing.store and standing.store.contents)
    yield _gauge(STORED, standing.store and standing.store.size)
    yield _gauge(FREE, free)
    yield _labelled(BUILD, {(__version__,): 1})


def _gauge(described: Described, value: float | None) -> Metric:
    """The metric; without a value when nobody knows it, rather than with a wrong one."""
    return _labelled(described, {} if value is None else {(): value})


def _labelled(described: Described, values: Values) -> Metric:
    family = GaugeMetricFamily(_full(described), described.help, labels=described.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _full(described: Described) -> str:
    return f"knossosd_{described.name}"
