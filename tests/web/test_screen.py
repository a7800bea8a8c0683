"""What operators see, as it goes on, through real connections."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from knossosd.conversion.observer import FileProgress, Snapshot, Stage
from knossosd.faults import Code, Finding
from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome, remove
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.store import Tickets
from knossosd.tickets.workers import Heartbeat
from tests import checkouts
from tests.checkouts import KEY, Checkout, wait_until
from tests.tickets.steps import claimed
from tests.web.test_api import request

EVERYTHING = {"you", "now", "running", "queue", "outcomes", "deliveries", "day", "trouble"}
BEARER = {"Authorization": f"Bearer {KEY}"}


class Screen:
    """An operator's screen: `shown` has what it shows now, `seen` the names of all events so far."""

    def __init__(self, web: Checkout, headers: dict[str, str]) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
        self.connection.request("GET", "/api/monitor", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.shown: dict[str, Any] = {}
        self.seen: list[str] = []

    def next(self) -> str | None:
        """The name of the next event; None when the stream has ended."""
        name = ""
        while line := self.response.readline().decode():
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                self.shown[name] = json.loads(value)
                self.seen.append(name)
                return name
        return None

    def until(self, holds: Any) -> Any:
        """Read until the screen shows what is wanted."""
        while not (found := holds(self.shown)):
            assert self.next() is not None, f"the stream ended with {self.shown}"
        return found

    def see_everything(self, names: set[str] = EVERYTHING, **sections: list[int]) -> dict[str, Any]:
        """Read until everything is shown, and the given tickets in their sections."""
        self.until(lambda shown: names <= shown.keys())
        self.until(lambda shown: all(numbers(section)(shown) == wanted for section, wanted in sections.items()))
        return self.shown


@contextmanager
def looking(web: Checkout, headers: dict[str, str] = BEARER) -> Iterator[Screen]:
    screen = Screen(web, headers)
    try:
        yield screen
    finally:
        screen.connection.close()


def numbers(section: str) -> Any:
    """The tickets of a section, as a screen shows them."""
    return lambda shown: [one["ticket"] for one in shown[section]]


def test_an_idle_server_is_shown_whole(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as screen:
        shown = screen.see_everything(running=[], queue=[], outcomes=[], deliveries=[])
        assert shown["you"] == {"operator": True}
        assert shown["trouble"] is None
        assert (shown["now"]["waiting"], shown["now"]["dead"], shown["now"]["store"]) == (0, 0, None)
        assert shown["now"]["free"] > 0
        assert len(shown["day"]["times"]) == len(shown["day"]["ended"]["succeeded"])
        headers = {name.lower(): value for name, value in screen.response.getheaders()}
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_a_conversion_is_shown_from_submission_to_end(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as screen:
        screen.see_everything(running=[], queue=[], outcomes=[])
        receipt = tickets.create("{}", title="My Mod 1.0.0")
        [waiting] = screen.until(lambda shown: shown["queue"])
        assert (waiting["ticket"], waiting["title"]) == (receipt.ticket, "My Mod 1.0.0")
        execution = claimed(tickets, receipt)
        [running] = screen.until(lambda shown: not shown["queue"] and shown["running"])
        assert (running["ticket"], running["attempt"], running["progress"]) == (receipt.ticket, 1, 0)
        file = FileProgress("m", "Core", "core.7z", Stage.DOWNLOADING, 42, 100, 7)
        execution.progress(Snapshot(0.42, (file,)))
        screen.until(lambda shown: shown["running"] and shown["running"][0]["progress"] == 0.42)
        assert screen.shown["running"][0]["text"] == " 42% core.7z"
        broken = Finding(Code.ARCHIVE_CORRUPT, "It is broken.", "Upload it again.", file="core.7z")
        execution.finish(Outcome(errors=(broken,)))
        [outcome] = screen.until(lambda shown: not shown["running"] and shown["outcomes"])
        assert (outcome["ticket"], outcome["success"], outcome["dead"]) == (receipt.ticket, False, False)
        assert outcome["errors"] == [broken.as_json()]
        assert outcome["until"] > outcome["time"]


def test_progress_alone_makes_nothing_else_be_told(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="t")
    execution = claimed(tickets, receipt)
    with looking(web) as screen:
        screen.see_everything(running=[receipt.ticket])
        screen.until(lambda _: screen.seen[-1] == "now")  # the clock goes on
        screen.next()
        before = len(screen.seen)
        execution.progress(Snapshot(0.5, ()))
        screen.until(lambda shown: shown["running"][0]["progress"] == 0.5)
        assert set(screen.seen[before:]) <= {"running", "now"}


def test_a_crowd_is_told_in_few_and_bounded_words(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as screen:
        screen.see_everything(running=[], queue=[], outcomes=[])
        before = len(screen.seen)
        for number in range(150):
            receipt = tickets.create("{}", title=str(number))
            if number < 80:
                claimed(tickets, receipt).finish(Outcome("{}" if number % 2 else None))
        screen.until(lambda shown: shown["now"]["waiting"] == 70 and len(shown["queue"]) == 50)
        screen.until(lambda shown: shown["outcomes"] and shown["outcomes"][0]["title"] == "79")
        assert [one["success"] for one in screen.shown["outcomes"]].count(True) == 30
        assert len(screen.shown["outcomes"]) == 60
        assert screen.seen[before:].count("queue") < 50


def test_a_late_operator_sees_what_is_and_not_what_was(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as early:
        early.see_everything(queue=[])
        receipt = tickets.create("{}", title="t")
        early.see_everything(queue=[receipt.ticket])
        with looking(web) as late:
            late.until(lambda _: late.seen.count("queue"))
            assert numbers("queue")(late.shown) == [receipt.ticket]


def test_what_is_removed_or_tried_again_is_no_outcome_any_more(web: Checkout, tickets: Tickets) -> None:
    removed, dead = (tickets.create("{}", title=title) for title in ("removed", "dead"))
    claimed(tickets, removed).finish(Outcome("{}"))
    claimed(tickets, dead).finish(Outcome(errors=(Finding(Code.DISK_FULL, "Full."),)))
    with looking(web) as screen:
        screen.see_everything(outcomes=[dead.ticket, removed.ticket])
        assert screen.shown["outcomes"][0]["dead"]
        found = tickets.get(removed.ticket)
        assert found is not None
        remove(tickets, found)
        screen.until(lambda shown: numbers("outcomes")(shown) == [dead.ticket])
        found = tickets.get(dead.ticket)
        assert found is not None
        assert tickets.retry(found)
        screen.until(lambda shown: not shown["outcomes"] and shown["queue"])


def test_an_outcome_outlives_its_ticket(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="My Mod")
    claimed(tickets, receipt).finish(Outcome("{}"))
    tickets.client.delete(keys.record(receipt.ticket))  # what time does
    with looking(web) as screen:
        screen.see_everything(outcomes=[receipt.ticket])


def test_webhooks_are_shown_without_what_is_secret(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as screen:
        screen.see_everything(deliveries=[])
        site = "https://me:secret@site.example/hook?secret=1"
        claimed(tickets, tickets.create("{}", title="t", webhook=site)).finish(Outcome("{}"))
        [waiting] = screen.until(lambda shown: shown["deliveries"])
        assert (waiting["site"], waiting["state"]) == ("https://site.example/hook", "waiting")
        outbox = Outbox(tickets.client)
        delivery = outbox.take(waiting["id"])
        assert delivery is not None
        outbox.note(delivery, "The webhook answered with status 500.", state=DeliveryState.GIVEN_UP)
        [given_up] = screen.until(
            lambda shown: [one for one in shown["deliveries"] if one["state"] == DeliveryState.GIVEN_UP]
        )
        assert given_up["log"][0]["outcome"] == "The webhook answered with status 500."
        path = f"/api/webhooks/{waiting['id']}/redeliver"
        assert request(web, "POST", path)[0] == 401
        assert request(web, "POST", "/api/webhooks/5/redeliver", **BEARER)[0] == 404
        assert json.loads(request(web, "POST", path, **BEARER)[1]) == {"error": False, "done": True}
        screen.until(lambda shown: shown["deliveries"][0]["state"] == "waiting")
        assert tickets.client.llen("huey.redis.knossosdupkeep") == 1
        assert "secret" not in json.dumps(screen.shown)


def test_a_process_is_shown_while_it_lives(web: Checkout, tickets: Tickets) -> None:
    def workers(shown: dict[str, Any]) -> list[Any]:
        return [one for one in shown["now"]["processes"] if one["kind"] == "worker"]

    with looking(web) as screen:
        screen.see_everything()
        beat = Heartbeat(tickets.client, "worker")
        beat.start()
        [worker] = screen.until(workers)
        assert worker["ticket"] is None
        assert 0 <= worker["silent"] < 15
        with beat.at_work(7):
            screen.until(lambda shown: [one["ticket"] for one in workers(shown)] == [7])
        beat.stop()
        screen.until(lambda shown: not workers(shown))


def test_one_who_was_killed_is_noticed_although_nobody_tells(web: Checkout, tickets: Tickets) -> None:
    tickets.client.sadd(keys.PROCESSES, "x")
    said = {"kind": "worker", "host": "h", "pid": 1, "since": 1}
    tickets.client.set(keys.process("x"), json.dumps(said), px=3000)
    with looking(web) as screen:
        screen.until(lambda shown: "now" in shown and any(one["pid"] == 1 for one in shown["now"]["processes"]))
        screen.until(lambda shown: all(one["pid"] != 1 for one in shown["now"]["processes"]))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({**BEARER, "Origin": "https://evil.example"}, 403),
        ({**BEARER, "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_nobody_else_looks(web: Checkout, headers: dict[str, str], status: int) -> None:
    assert request(web, "GET", "/api/monitor", **headers)[0] == status
    assert request(web, "GET", f"/api/monitor?key={KEY}")[0] == 401


def test_a_key_for_something_else_is_not_enough_and_a_revoked_one_not_any_more(web: Checkout, tickets: Tickets) -> None:
    submitting, monitoring = (web.verb("keys", "add", scope, "--scope", scope) for scope in ("submit", "monitor"))
    bearer = {"Authorization": f"Bearer {submitting.stdout.split()[-1]}"}
    assert request(web, "GET", "/api/monitor", **bearer)[0] == 401
    with looking(web, {"Authorization": f"Bearer {monitoring.stdout.split()[-1]}"}) as screen:
        screen.see_everything()
        assert web.verb("keys", "revoke", "monitor").returncode == 0
        tickets.create("{}", title="secret")
        while screen.next():
            pass
        assert "secret" not in json.dumps(screen.shown)


def test_pages_of_other_sites_do_nothing_even_with_a_password_that_the_browser_knows(
    web: Checkout, tickets: Tickets
) -> None:
    receipt = tickets.create("{}", title="t")
    for action in (f"tasks/{receipt.ticket}/remove", "webhooks/5/redeliver"):
        answer = request(web, "POST", f"/api/{action}", **BEARER, Origin="https://evil.example")
        assert answer[0] == 403
    assert tickets.get(receipt.ticket) is not None


def test_an_open_monitor_shows_strangers_no_webhooks(valkey: str, tickets: Tickets) -> None:
    claimed(tickets, tickets.create("{}", title="t", webhook="https://site.example/hook")).finish(Outcome("{}"))
    with checkouts.checkout(REDIS=valkey, OPEN_MONITOR=True) as copy:
        copy.start_web()
        with looking(copy, {}) as stranger, looking(copy) as operator:
            operator.see_everything()
            assert operator.shown["you"] == {"operator": True}
            stranger.see_everything(EVERYTHING - {"deliveries"})
            assert stranger.shown["you"] == {"operator": False}
            tickets.create("{}", title="t")
            stranger.until(lambda shown: shown["queue"])
            assert "deliveries" not in stranger.shown


def test_a_web_process_that_stops_sends_operators_away(valkey: str, tickets: Tickets) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        process = copy.start_web()
        with looking(copy) as screen:
            screen.see_everything()
            process.terminate()
            while screen.next():
                pass
        process.wait(20)
        assert "Traceback" not in copy.logs()


def test_one_connection_reads_for_all_operators_and_none_when_nobody_looks(
    valkey: str, redis_client: redis.Redis, tickets: Tickets
) -> None:
    def listeners() -> int:
        return int(redis_client.pubsub_numsub(keys.CHANGES)[0][1])

    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_web()
        wait_until(lambda: listeners() == 0, "the screens of other tests are gone")
        screens = [Screen(copy, BEARER) for _ in range(5)]
        for screen in screens:
            screen.see_everything()
        assert listeners() == 1
        for screen in screens:
            screen.connection.close()
            screen.response.close()
        wait_until(lambda: listeners() == 0, "nobody listens any more")


def test_a_broken_connection_to_redis_loses_nothing(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as screen:
        screen.see_everything()
        tickets.client.client_kill_filter(_type="pubsub")
        receipt = tickets.create("{}", title="t")
        screen.until(lambda shown: numbers("queue")(shown) == [receipt.ticket] and shown["trouble"] is None)


def test_trouble_is_told_and_so_is_its_end(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as screen:
        screen.see_everything()
        tickets.client.client_pause(4000)
        screen.until(lambda shown: shown["trouble"])
        screen.until(lambda shown: shown["trouble"] is None)


def test_a_slow_operator_holds_up_nobody(web: Checkout, tickets: Tickets) -> None:
    with looking(web) as slow, looking(web) as quick:
        quick.see_everything()
        for number in range(30):
            tickets.create("{}", title=f"{number} " + "x" * 100_000)
            time.sleep(0.05)
        quick.until(lambda shown: len(shown["queue"]) == 30)
        done = threading.Event()
        threading.Thread(
            target=lambda: (slow.until(lambda shown: len(shown.get("queue", [])) == 30), done.set())
        ).start()
        assert done.wait(20)


def test_nothing_that_operators_do_is_a_traceback(web: Checkout) -> None:
    logs = web.logs()
    assert "Traceback" not in logs, logs[logs.index("Traceback") - 500 :][:4000]
