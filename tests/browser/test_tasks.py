"""The operators' monitor in a real browser, while the tests play the workers."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from knossosd.conversion.observer import FileProgress, Snapshot, Stage
from knossosd.faults import Code, Finding
from knossosd.tickets import keys
from knossosd.tickets.ending import Outcome, cancel
from knossosd.tickets.measures import BOUNDS, Duration, bucket_field, seconds_field
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.statistics import Statistics, StoreSize
from knossosd.tickets.store import Receipt, Tickets
from knossosd.tickets.workers import Heartbeat
from tests import checkouts
from tests.browser.conftest import Shoot
from tests.browser.test_look import FAINT
from tests.checkouts import KEY, Checkout, wait_until
from tests.tickets.steps import claimed, found

# Sums up how much of the page moves after it was painted first. In a list, what comes first moves what was there,
# unless somebody points at it.
JUMPS_OUTSIDE_OF_LISTS = """
window.jumps = 0;
const isInList = ({ node }) => (node?.nodeType === Node.ELEMENT_NODE ? node : node?.parentElement)?.closest(".rows");
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.sources.every(isInList)) window.jumps += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

FULL = Finding(Code.DISK_FULL, "The server's disk is full.", "Tell the operator.")
BROKEN = Finding(Code.ARCHIVE_CORRUPT, "The archive is broken.", "Upload it again.", mod="my_mod", file="core.7z")


@pytest.fixture
def operator(web: Checkout, page: Page) -> Page:
    """A browser in which the key was given."""
    page.add_init_script(f"sessionStorage.setItem('knossosd-key', '{KEY}')")
    return page


@pytest.fixture
def fresh(valkey: str) -> Iterator[Checkout]:
    """A web process that has not seen the past yet: what is over, it reads once."""
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_web()
        yield copy


def rows(page: Page, name: str) -> Locator:
    return page.locator(f"#{name} .rows > li")


def answer(page: Page, button: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=button).click()


def test_it_asks_for_the_key_and_takes_only_one_that_is_good(
    web: Checkout, tickets: Tickets, receipt: Receipt, page: Page
) -> None:
    page.goto(f"{web.url}/tasks")
    expect(page.locator("#monitor")).to_be_hidden()
    page.get_by_label("API key of an operator").fill("wrong")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know that API key")
    expect(page.get_by_label("API key of an operator")).to_be_focused()
    page.get_by_label("API key of an operator").fill(KEY)
    page.keyboard.press("Enter")
    expect(rows(page, "queue")).to_contain_text("My Mod 1.0.0")
    expect(page.locator("#key")).to_be_hidden()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.locator("#monitor")).to_be_hidden()
    assert page.evaluate("sessionStorage.getItem('knossosd-key')") is None


def test_a_key_never_stands_in_an_address(web: Checkout, tickets: Tickets, operator: Page) -> None:
    addresses: list[str] = []
    operator.on("request", lambda request: addresses.append(request.url))
    operator.goto(f"{web.url}/tasks")
    expect(operator.locator("#line")).to_have_text("Live")
    assert any(address.endswith("/api/monitor") for address in addresses)
    assert all(KEY not in address for address in addresses)


def test_a_conversion_goes_from_the_queue_to_its_end(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    operator.goto(f"{web.url}/tasks")
    expect(rows(operator, "queue")).to_have_count(1)
    expect(operator.locator("[data-tile=waiting] dd").first).to_have_text("1")
    execution = claimed(tickets, receipt)
    expect(rows(operator, "running")).to_contain_text("My Mod 1.0.0")
    expect(operator.locator("#queue .empty")).to_be_visible()
    file = FileProgress("m", "Core", "core.7z", Stage.DOWNLOADING, 42, 100, 7)
    execution.progress(Snapshot(0.42, (file,)))
    bar = operator.get_by_role("progressbar", name="Progress of My Mod 1.0.0")
    expect(bar).to_have_attribute("aria-valuenow", "42")
    expect(rows(operator, "running")).to_contain_text("42% core.7z")
    execution.finish(Outcome(errors=(BROKEN,)))
    expect(rows(operator, "running")).to_have_count(0)
    expect(rows(operator, "outcomes")).to_contain_text("my_mod / core.7z: The archive is broken. Upload it again.")
    expect(rows(operator, "outcomes").get_by_role("button")).to_have_text(["Remove"])


def test_rows_stay_the_same_elements_while_others_come_and_go(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    operator.goto(f"{web.url}/tasks")
    button = rows(operator, "queue").get_by_role("button")
    button.focus()
    others = [tickets.create("{}", title=f"Mod {number}") for number in range(3)]
    expect(rows(operator, "queue")).to_have_count(4)
    cancel(tickets, found(tickets, others[1]))
    expect(rows(operator, "queue")).to_have_count(3)
    expect(operator.get_by_role("button", name="Cancel My Mod 1.0.0")).to_be_focused()
    cancel(tickets, found(tickets, receipt))
    expect(rows(operator, "queue")).to_have_count(2)
    expect(operator.locator("#queue-title")).to_be_focused()


def test_a_conversion_is_cancelled_by_who_means_it(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    operator.goto(f"{web.url}/tasks")
    button = operator.get_by_role("button", name="Cancel My Mod 1.0.0")
    button.focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("dialog", name="Cancel My Mod 1.0.0?")).to_be_visible()
    expect(operator.get_by_role("button", name="Leave it")).to_be_focused()
    operator.keyboard.press("Escape")
    expect(button).to_be_focused()
    assert found(tickets, receipt).errors == ()
    button.click()
    answer(operator, "Cancel it")
    expect(rows(operator, "outcomes")).to_contain_text("cancelled")
    expect(operator.locator("#said")).to_have_text("Cancel My Mod 1.0.0: done.")
    assert found(tickets, receipt).errors[0]["code"] == "cancelled"


def test_what_failed_through_the_servers_fault_is_tried_again(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    claimed(tickets, receipt).finish(Outcome(errors=(FULL,)))
    operator.goto(f"{web.url}/tasks")
    expect(rows(operator, "outcomes").get_by_role("button")).to_have_text(["Retry", "Remove"])
    expect(operator.locator("[data-tile=dead] dd").first).to_have_text("1")
    rows(operator, "outcomes").get_by_role("button", name="Retry").click()
    expect(rows(operator, "queue")).to_contain_text("My Mod 1.0.0")
    expect(rows(operator, "outcomes")).to_have_count(0)
    claimed(tickets, receipt).finish(Outcome("{}"))
    expect(rows(operator, "outcomes")).to_contain_text("succeeded")


def test_a_ticket_is_removed_by_who_means_it(web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page) -> None:
    claimed(tickets, receipt).finish(Outcome("{}"))
    operator.goto(f"{web.url}/tasks")
    remove = operator.get_by_role("button", name="Remove My Mod 1.0.0")
    remove.click()
    answer(operator, "Leave it")
    assert len(tickets.all()) == 1
    remove.click()
    answer(operator, "Remove it")
    expect(operator.locator("#outcomes .empty")).to_be_visible()
    assert tickets.all() == []


def test_failures_can_be_seen_alone(web: Checkout, tickets: Tickets, operator: Page) -> None:
    for title, outcome in (("Good", Outcome("{}")), ("Bad", Outcome(errors=(BROKEN,)))):
        claimed(tickets, tickets.create("{}", title=title)).finish(outcome)
    operator.goto(f"{web.url}/tasks")
    expect(rows(operator, "outcomes")).to_have_count(2)
    operator.get_by_label("only failures").check()
    expect(rows(operator, "outcomes")).to_have_count(1)
    expect(rows(operator, "outcomes")).to_contain_text("Bad")


def test_a_ticket_that_is_gone_can_only_be_read_of(web: Checkout, tickets: Tickets, operator: Page) -> None:
    tickets.settings = tickets.settings.model_copy(update={"result_lifetime": 1})
    receipt = tickets.create("{}", title="Short-lived")
    claimed(tickets, receipt).finish(Outcome("{}"))
    operator.goto(f"{web.url}/tasks")
    row = rows(operator, "outcomes").filter(has_text="Short-lived")  # what another test has left may go a little later
    expect(row).to_have_count(1)
    expect(row.get_by_role("button")).to_have_count(0, timeout=20_000)
    expect(row.get_by_role("link")).to_have_count(0)


def test_a_webhook_is_sent_once_more(web: Checkout, tickets: Tickets, operator: Page) -> None:
    receipt = tickets.create("{}", title="t", webhook="https://site.example/hook")
    ended = claimed(tickets, receipt).finish(Outcome("{}"))
    assert ended is not None
    assert ended.delivery is not None
    operator.goto(f"{web.url}/tasks")
    row = rows(operator, "deliveries")
    expect(row).to_contain_text("waiting")
    outbox = Outbox(tickets.client)
    for outcome, state in (("The webhook answered with status 500.", "given up"), ("taken", "delivered")):
        delivery = outbox.take(ended.delivery)
        assert delivery is not None
        outbox.note(delivery, outcome, state=DeliveryState(state))
        expect(row).to_contain_text(state)
        row.get_by_role("button", name="Redeliver").click()
        if state == "delivered":
            answer(operator, "Send it")
        else:
            assert delivery.attempts == 1
        expect(row).to_contain_text("waiting")


def test_processes_are_seen_while_they_live(web: Checkout, tickets: Tickets, operator: Page) -> None:
    beat = Heartbeat(tickets.client, "worker")
    beat.start()
    operator.goto(f"{web.url}/tasks")
    worker = rows(operator, "processes").filter(has_text="worker")
    expect(worker).to_contain_text("idle")
    expect(worker).to_contain_text("sign of life")
    with beat.at_work(7):
        expect(worker).to_contain_text("ticket 7")
    beat.stop()
    expect(worker).to_have_count(0)


def test_in_an_open_monitor_who_has_no_key_only_looks(valkey: str, receipt: Receipt, page: Page) -> None:
    with checkouts.checkout(REDIS=valkey, OPEN_MONITOR=True) as copy:
        copy.start_web()
        page.goto(f"{copy.url}/tasks")
        expect(rows(page, "queue")).to_contain_text("My Mod")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.get_by_role("heading", name="Webhooks")).to_have_count(0)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_label("API key of an operator")).to_be_focused()
        page.get_by_label("API key of an operator").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Cancel My Mod 1.0.0")).to_be_visible()
        expect(page.get_by_role("heading", name="Webhooks")).to_be_visible()
        page.evaluate("sessionStorage.setItem('knossosd-key', 'no key of ours')")
        page.get_by_role("button", name="Cancel My Mod 1.0.0").click()
        answer(page, "Cancel it")
        expect(page.locator("#said")).to_contain_text("this API key may not do that.")


def test_it_comes_back_after_a_restart(valkey: str, tickets: Tickets, receipt: Receipt, operator: Page) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        process = copy.start_web()
        operator.goto(f"{copy.url}/tasks")
        expect(rows(operator, "queue")).to_have_count(1)
        process.terminate()
        process.wait(20)
        expect(operator.locator("#line")).to_contain_text("Connection lost")
        claimed(tickets, receipt).finish(Outcome("{}"))
        copy.start_web()
        expect(operator.locator("#line")).to_have_text("Live", timeout=40_000)
        expect(rows(operator, "queue")).to_have_count(0)
        expect(rows(operator, "outcomes")).to_contain_text("succeeded")


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ({"status": 503, "json": {"error": True, "message": "Please wait."}}, "Please wait. Trying again…"),
        ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "The server answered 502. Trying again…"),
        ({"status": 200, "body": "event: now\ndata: {\n\n"}, "Connection lost, trying again…"),
    ],
)
def test_a_server_that_cannot_answer_is_asked_again(
    web: Checkout, tickets: Tickets, operator: Page, reply: dict[str, Any], shown: str
) -> None:
    operator.route("**/api/monitor", lambda route: route.fulfill(**reply))
    operator.goto(f"{web.url}/tasks")
    expect(operator.locator("#line")).to_have_text(shown)
    operator.unroute("**/api/monitor")
    expect(operator.locator("#line")).to_have_text("Live", timeout=20_000)


def test_it_comes_back_after_the_computer_slept(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    operator.clock.install()
    operator.goto(f"{web.url}/tasks")
    expect(rows(operator, "queue")).to_have_count(1)
    streams: list[str] = []
    operator.on("request", lambda request: streams.append(request.url) if "/api/monitor" in request.url else None)
    operator.clock.fast_forward("01:00:00")  # timers that are long over, as after a sleep
    operator.clock.run_for(30_000)
    expect(operator.locator("#line")).to_have_text("Live")
    assert streams
    cancel(tickets, found(tickets, receipt))
    expect(rows(operator, "queue")).to_have_count(0)


def test_plots_are_drawn_described_and_told_as_tables(fresh: Checkout, tickets: Tickets, operator: Page) -> None:
    slot = keys.slot(tickets.now() - 3600)
    tickets.client.hset(
        slot, mapping={"tickets succeeded": 7, "tickets failed archive_corrupt": 2, "sampled waiting": 5}
    )
    operator.goto(f"{fresh.url}/tasks")
    plot = operator.get_by_role("img", name="Ended per quarter of an hour")
    expect(plot).to_be_visible()
    expect(plot.locator("desc")).to_have_text("7 succeeded, 2 failed, 0 cancelled in a day.")
    expect(operator.get_by_role("img", name="Most at once").locator("desc")).to_contain_text("waiting: at most 5")
    figure = operator.locator("#throughput")
    figure.get_by_text("As a table").click()
    row = figure.get_by_role("row").filter(has=operator.get_by_role("cell", name="7", exact=True))
    expect(row.get_by_role("cell")).to_have_text(["7", "2", "0"])
    expect(operator.locator("[data-tile=day]")).to_contain_text("2 failed")


@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_moves_while_much_happens(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page, width: int
) -> None:
    operator.set_viewport_size({"width": width, "height": 2500})
    operator.add_init_script(JUMPS_OUTSIDE_OF_LISTS)
    operator.goto(f"{web.url}/tasks")
    expect(rows(operator, "queue")).to_have_count(1)
    for number in range(20):
        execution = claimed(tickets, tickets.create("{}", title=f"Mod {number} with quite a long name of its own"))
        if number % 2:
            execution.finish(Outcome(errors=(BROKEN,)))
    expect(rows(operator, "running")).to_have_count(10)
    expect(rows(operator, "outcomes")).to_have_count(10)
    expect(rows(operator, "outcomes").first).to_contain_text("Mod 19")
    assert operator.evaluate("document.documentElement.scrollWidth") <= width
    assert operator.evaluate("window.jumps") < 0.01
    operator.evaluate("document.querySelector('main').prepend(document.createElement('h1'), 'This moves everything.')")
    wait_until(lambda: operator.evaluate("window.jumps > 0.01"), "the page says that it has moved")


@pytest.mark.parametrize("way", ["pointing", "focus", "scrolling"])
def test_a_row_stays_where_it_is_while_somebody_is_about_to_use_it(
    web: Checkout, tickets: Tickets, operator: Page, way: str
) -> None:
    for number in range(12):
        claimed(tickets, tickets.create("{}", title=f"Mod {number}")).finish(Outcome("{}"))
    operator.emulate_media(reduced_motion="reduce")  # or the page would scroll for a while
    operator.goto(f"{web.url}/tasks")
    button = operator.get_by_role("button", name="Remove Mod 9")
    expect(button).to_be_attached()  # before there are rows, nothing scrolls
    if way == "pointing":
        button.hover()
    elif way == "focus":
        button.focus()
    else:
        operator.locator("#outcomes .scroll").evaluate("(scroll) => { scroll.scrollTop = 60; }")
    before = button.bounding_box()
    for number in range(3):
        claimed(tickets, tickets.create("{}", title=f"Later {number}")).finish(Outcome("{}"))
    expect(rows(operator, "outcomes").first).to_contain_text("Later 2")
    after = button.bounding_box()
    assert before is not None
    assert after is not None
    assert after["y"] == pytest.approx(before["y"], abs=2)


@contextmanager
def a_busy_server(tickets: Tickets) -> Iterator[None]:
    """A server in the middle of its day, with a bit of everything."""
    a_day(tickets)
    Statistics(tickets.client).note_store(StoreSize(1843, 412_700_000_000))
    for title, webhook, outcome in (
        ("Blue Planet 1.1.4", "https://forum.example/hooks/knossos", Outcome("{}")),
        ("Silent Threat: Reborn 2.0.0", "https://mods.example/api/done", Outcome(errors=(BROKEN,))),
        ("MediaVPs 4.7.2", None, Outcome(errors=(FULL,))),
        ("Between the Ashes 1.0.1", "https://forum.example/hooks/knossos", Outcome("{}")),
    ):
        claimed(tickets, tickets.create("{}", title=title, webhook=webhook)).finish(outcome)
    cancel(tickets, found(tickets, tickets.create("{}", title="Wings of Dawn 2.3.0")))
    note_attempts(tickets)
    beats = [Heartbeat(tickets.client, kind) for kind in ("worker", "worker", "upkeep")]
    for beat in beats:
        beat.start()
    for title, done in (("Freespace Port 3.6", 0.31), ("The Babylon Project 3.4b", 0.87)):
        receipt = tickets.create("{}", title=title)
        file = FileProgress("m", "Core", "core.7z", Stage.INSPECTING, int(done * 100), 100, 7)
        claimed(tickets, receipt).progress(Snapshot(done, (file,)))
    for title in ("Scroll of Atankharzim 1.2", "Deus Ex Machina 1.0", "Windmills 1.1.0"):
        tickets.create("{}", title=title)
    try:
        yield
    finally:
        for beat in beats:
            beat.stop()


def note_attempts(tickets: Tickets) -> None:
    """One webhook is delivered, one was given up, and one waits."""
    outbox = Outbox(tickets.client)
    outcomes = (("taken", "delivered"), ("The webhook answered with status 502.", "given up"))
    for delivery_id, (outcome, state) in zip(outbox.due(), outcomes, strict=False):
        delivery = outbox.take(delivery_id)
        assert delivery is not None
        outbox.note(delivery, outcome, state=DeliveryState(state))


def a_day(tickets: Tickets) -> None:
    """What a day leaves in the slots: much in the evening, little at night, and an hour in which upkeep was away."""
    chance = random.Random(6)
    now = tickets.now()
    for slot in range(288):
        load = 4 + 3.5 * math.sin(slot / 288 * 2 * math.pi)
        good, bad = chance.randint(0, int(2 * load)), int(chance.random() < 0.15)
        fields = {"tickets succeeded": good, "tickets failed archive_corrupt": bad}
        if not 100 < slot < 112:
            fields |= {"sampled waiting": int(load * chance.random() * 1.5), "sampled working": min(2, good)}
        seconds = load * 6 + chance.random() * 5
        bound = next(bound for bound in BOUNDS if float(bound) >= seconds)
        fields |= {bucket_field(Duration.WHOLE, bound): good, seconds_field(Duration.WHOLE): good * seconds}
        tickets.client.hset(keys.slot(now - 300 * (288 - slot)), mapping=fields)


def test_pictures_of_the_monitor_in_which_all_can_be_read(
    fresh: Checkout, tickets: Tickets, operator: Page, shoot: Shoot
) -> None:
    with a_busy_server(tickets):
        operator.goto(f"{fresh.url}/tasks")
        expect(rows(operator, "running")).to_have_count(2)
        expect(rows(operator, "processes")).to_have_count(5, timeout=20_000)
        for scheme in ("light", "dark"):
            operator.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert operator.evaluate(FAINT) == []
        shoot("tasks")
