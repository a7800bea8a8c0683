"""The pages and the embeddable client, in a real browser."""

import threading

import pytest
from playwright.sync_api import Page, expect

from knossosd.conversion.observer import Level, Snapshot
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Receipt, Tickets
from tests import checkouts, hosts
from tests.checkouts import Checkout, wait_until


@pytest.fixture
def receipt(tickets: Tickets) -> Receipt:
    return tickets.create("{}", title="My Mod 1.0.0")


def claimed(tickets: Tickets, number: int) -> Execution:
    execution = Execution.claim(tickets, number)
    assert execution is not None
    return execution


def test_watching_a_conversion(web: Checkout, tickets: Tickets, receipt: Receipt, page: Page) -> None:
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    expect(page.locator("#cv-log")).to_contain_text("The task is queued")
    execution = claimed(tickets, receipt.ticket)
    execution.log(Level.INFO, "<b>Downloading</b>")
    execution.progress(Snapshot(0.42, ()))
    expect(page.locator("#cv-log")).to_contain_text("INFO: <b>Downloading</b>")
    expect(page.locator("#cv-pg-bar")).to_have_attribute("aria-valuenow", "42")
    execution.finish(Outcome("{}"))
    expect(page.locator("#cv-pg-bar")).to_have_class("progress-bar progress-bar-success")
    expect(page.locator("#cv-pg-display")).to_have_text("Done")


def test_a_failure_shows_as_one(web: Checkout, tickets: Tickets, receipt: Receipt, page: Page) -> None:
    claimed(tickets, receipt.ticket).finish(Outcome())
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    expect(page.locator("#cv-pg-bar")).to_have_class("progress-bar progress-bar-danger")


def test_a_captcha_is_answered_in_the_page(web: Checkout, tickets: Tickets, receipt: Receipt, page: Page) -> None:
    execution = claimed(tickets, receipt.ticket)
    answers: list[str | None] = []
    asking = threading.Thread(target=lambda: answers.append(execution.ask(f"{web.url}/static/knossosd.css")))
    asking.start()
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    page.locator(".cv-captcha input").fill("xyzzy")
    page.locator(".cv-captcha button").click()
    asking.join(10)
    assert answers == ["xyzzy"]
    execution.finish(Outcome("{}"))


FOREIGN = """<!doctype html><meta charset="utf-8"><div id="here"></div><ol id="got"></ol>
<script src="{server}/static/converter.js"></script>
<script>
const watcher = new {client};
for (const name of ["log_message", "progress", "done", "task_status"]) {{
  watcher.on(name, (...args) => {{
    const li = document.createElement("li");
    li.textContent = name + " " + JSON.stringify(args);
    document.querySelector("#got").append(li);
  }});
}}
watcher.bootstrap_ui({container});
watcher.connect();
</script>"""


@pytest.mark.parametrize(
    ("client", "container"),
    [
        ('TaskWatcher("ws://{host}", "{ticket}", false)', '"#here"'),
        ('Converter("ws://{host}/ws/converter", {ticket})', 'document.querySelector("#here")'),
        ('TaskWatcher("ws://{host}/", {ticket}, true)', '[document.querySelector("#here")]'),
    ],
)
def test_a_foreign_page_embeds_the_client(
    web: Checkout, tickets: Tickets, receipt: Receipt, page: Page, host: hosts.Host, client: str, container: str
) -> None:
    made = client.format(host=web.url.removeprefix("http://"), ticket=receipt.ticket)
    html = FOREIGN.format(server=web.url, client=made, container=container)
    execution = claimed(tickets, receipt.ticket)
    execution.log(Level.INFO, "one")
    page.goto(host.link("/page", hosts.says(200, html.encode(), Content_Type="text/html")))
    expect(page.locator("#here #cv-log")).to_contain_text("INFO: one")
    execution.finish(Outcome("{}"))
    expect(page.locator("#got")).to_contain_text("done [true]")
    assert page.locator("#got").inner_text().count("INFO: one") == 1


def test_the_client_comes_back_after_a_restart(valkey: str, tickets: Tickets, receipt: Receipt, page: Page) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        process = copy.start_web()
        execution = claimed(tickets, receipt.ticket)
        execution.log(Level.INFO, "before")
        page.goto(f"{copy.url}/watch/{receipt.ticket}")
        expect(page.locator("#cv-log")).to_contain_text("before")
        process.terminate()
        process.wait(20)
        execution.log(Level.INFO, "meanwhile")
        copy.start_web()
        execution.finish(Outcome("{}"))
        expect(page.locator("#cv-pg-display")).to_have_text("Done", timeout=30_000)
        assert page.locator("#cv-log").inner_text().split("\n") == ["INFO: before", "INFO: meanwhile"]
        wait_until(lambda: copy.get("/schema.json"), "the server answers")
