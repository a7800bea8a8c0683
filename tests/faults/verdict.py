"""What must hold after a storm: every ticket has ended once and as it should, and nothing else is left of it."""

import hashlib
import json
import re
import time
from collections import Counter
from typing import Any

from knossosd.faults import Code
from knossosd.tickets import events, keys
from knossosd.tickets.measures import Duration, Result, ticket_field
from knossosd.tickets.statistics import Durations, Statistics
from tests.checkouts import PATIENCE, wait_until
from tests.faults.cases import Case, Kind
from tests.faults.storm import SUPERVISOR, Storm

SUCCEEDED = ticket_field(Result.SUCCEEDED, None)
CANCELLED = ticket_field(Result.CANCELLED, Code.CANCELLED)
DAMAGED = ticket_field(Result.FAILED, Code.ARCHIVE_CORRUPT)

AGAIN = re.compile(r"^WARNING: .* conversion (starts|will start) again\.$")
"""What ends an attempt, and not the ticket."""

MAY_REPEAT = re.compile(r" failed: |INFO: Waiting ")
"""What an attempt may tell again: of each link that failed, and of each time that it waits for other downloads."""

PROCESSES = {"supervisord": 1, "web": 1, "consumer": 1, "worker child": 3, "upkeep": 1, "valkey": 1}
"""The processes of a calm installation by kind; one worker child is the scheduler."""


def verify(storm: Storm) -> None:
    """Check everything that must hold in the end."""
    ends = [_end_of(storm, case) for case in storm.cases]
    for case, end in zip(storm.cases, ends, strict=True):
        allowed = {DAMAGED if case.kind is Kind.DAMAGED else SUCCEEDED}
        assert end in allowed | ({CANCELLED} if case.called_off else set())
        _verify_events(storm, case, end)
    _verify_webhooks(storm)
    _verify_counts(storm, Counter(ends))
    published = {case.place for case, end in zip(storm.cases, ends, strict=True) if end == SUCCEEDED}
    _verify_mirror(storm, published)
    _verify_keys(storm)
    _verify_processes(storm)


def _end_of(storm: Storm, case: Case) -> str:
    """How the ticket has ended, as its submitter sees it."""
    ticket, token = case.receipt
    outcome: Any = storm.installation.post("/api/converter/retrieve", ticket=ticket, token=token)
    assert outcome["finished"], outcome
    if not outcome["success"]:
        [error] = outcome["errors"]
        result = Result.CANCELLED if error["code"] == "cancelled" else Result.FAILED
        return ticket_field(result, Code(error["code"]))
    [entry] = json.loads(outcome["json"])["mods"][0]["packages"][0]["filelist"]
    assert entry["checksum"] == ["sha256", case.archive.checksum]
    return SUCCEEDED


def _verify_events(storm: Storm, case: Case, end: str) -> None:
    """Each attempt has told everything once, and the watcher has seen all of it."""
    history = events.past(storm.installation.redis(), case.receipt.ticket).events
    assert [event.name for event in history].count("done") == 1
    attempts: list[list[events.Event]] = [[]]
    for event in history:
        attempts[-1].append(event)
        if event.name == "log_message" and AGAIN.search(event.arguments[0]):
            attempts.append([])
    for attempt in attempts:
        told = [f"{event.name} {event.json}" for event in attempt if not MAY_REPEAT.search(event.json)]
        assert len(told) == len(set(told)), told
    if end != CANCELLED:
        names = [event.name for event in attempts[-1]]
        assert (names[0], names.count("file"), names[-1]) == ("files", 1, "done"), names
    if end == SUCCEEDED:
        assert attempts[-1][-2].arguments == ["INFO: Done"]
    wait_until(lambda: case.watcher.done, f"the watcher of {case.receipt.ticket} saw the end")
    case.watcher.stop()
    assert case.watcher.ids == [event.id for event in history], "every event once and in order"


def _verify_webhooks(storm: Storm) -> None:
    assert {ticket for ticket, _ in storm.told} == {case.receipt.ticket for case in storm.cases}
    deliveries = dict(storm.told)
    assert all(deliveries[ticket] == delivery for ticket, delivery in storm.told), "a repeated delivery has its old id"
    # Whoever is killed between the site's answer and the note of it had one attempt under way: there is one site.
    unnoted = len(storm.told) - len(storm.cases)
    assert unnoted <= storm.kills["upkeep"] + storm.kills[SUPERVISOR], "after a success there is no other delivery"


def _verify_counts(storm: Storm, ends: Counter[str]) -> None:
    """Nothing that was killed took a count with it, and nothing was counted twice."""
    client = storm.installation.redis()
    totals = Statistics(client).totals()
    assert totals["submissions"] == len(storm.cases)
    assert {field: count for field, count in totals.items() if field.startswith("tickets ")} == ends
    assert Durations.of(Duration.WHOLE, totals).count == ends.total() - ends[CANCELLED]
    records = [client.hgetall(keys.record(case.receipt.ticket)) for case in storm.cases]
    attempts = sum(int(record.get("attempt", 0)) for record in records)
    assert Durations.of(Duration.WAITING, totals).count >= attempts >= len(storm.cases) - ends[CANCELLED]


def _verify_mirror(storm: Storm, published: set[str]) -> None:
    """There is what has succeeded and nothing else, and no work is left in any place for it."""
    var = storm.installation.folder / "var"
    mirror = var / "mirror"
    for _ in range(int(PATIENCE)):
        storm.tend()
        left = list((mirror / ".work").iterdir())
        if not left:
            break
        time.sleep(2)  # a young folder is let alone for a while
    assert left == []
    assert {str(path.relative_to(mirror / "my_mod")) for path in mirror.glob("my_mod/*/*")} == published
    for stored in mirror.glob(".store/*/*"):
        assert stored.name == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert list(storm.installation.temporary.iterdir()) == []
    assert list((var / "cores").iterdir()) == []


def _verify_keys(storm: Storm) -> None:
    client, tickets = storm.installation.redis(), [case.receipt.ticket for case in storm.cases]
    left = {index: client.zrange(index, 0, -1, withscores=True) for index in (keys.WORKING, keys.QUEUE, keys.OUTBOX)}
    assert not any(left.values()), left
    wait_until(lambda: not list(client.scan_iter("knossosd:*lease*")), "every lease has run out")
    wait_until(lambda: not client.llen("huey.redis.knossosdconvert"), "no message is left")
    kept = {name(ticket) for ticket in tickets for name in (keys.record, keys.result, keys.events, keys.now)}
    assert set(client.scan_iter("knossosd:ticket:*")) <= kept
    for kind in ("delivery", "idempotency"):
        assert len(list(client.scan_iter(f"knossosd:{kind}:*"))) == len(tickets)
    assert [key for key in client.scan_iter("knossosd:*") if client.ttl(key) == -1] == []


def _verify_processes(storm: Storm) -> None:
    """Everything runs that should, and nothing that was left by what was killed."""

    def are_complete() -> bool:
        found = storm.processes()
        return all(len(found[kind]) == count for kind, count in PROCESSES.items())

    wait_until(are_complete, "everything runs, once")
    others = [" ".join(process.cmdline()) for process in storm.processes()["other"]]
    assert not [words for words in others if "7zz" in words]
