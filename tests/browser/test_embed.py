"""The embeddable client, on foreign pages and on the page that explains it."""

import re
import threading

import pytest
from playwright.sync_api import Browser, Page, expect

from knossosd.conversion.observer import Level, Snapshot
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Receipt
from knossosd.web.assets import OURS
from tests import checkouts, hosts
from tests.checkouts import Checkout

BOOTSTRAP_4 = """<style>
.progress { display: flex; height: 1rem; overflow: hidden; background-color: rgb(233, 236, 239); }
.progress-bar { background-color: rgb(0, 123, 255); }
.bg-success { background-color: rgb(40, 167, 69) !important; }
</style>"""
"""What Bootstrap says of progress bars, as pages have it."""


FOREIGN = """<!doctype html><meta charset="utf-8">{look}<div id="here"></div><ol id="got"></ol>
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
    web: Checkout, receipt: Receipt, execution: Execution, page: Page, host: hosts.Host, client: str, container: str
) -> None:
    made = client.format(host=web.url.removeprefix("http://"), ticket=receipt.ticket)
    html = FOREIGN.format(server=web.url, client=made, container=container, look="")
    execution.log(Level.INFO, "one")
    page.goto(host.link("/page", hosts.says(200, html.encode(), Content_Type="text/html")))
    expect(page.locator("#here #cv-log")).to_contain_text("INFO: one")
    execution.finish(Outcome("{}"))
    expect(page.locator("#got")).to_contain_text("done [true]")
    assert page.locator("#got").inner_text().count("INFO: one") == 1


def foreign(web: Checkout, host: hosts.Host, receipt: Receipt, *, look: str = "", interactive: bool = False) -> str:
    """The link of a foreign page that embeds the client."""
    client = f'TaskWatcher("{web.url.replace("http", "ws", 1)}", {receipt.ticket}, {str(interactive).lower()})'
    html = FOREIGN.format(server=web.url, client=client, container='"#here"', look=look)
    return host.link("/page", hosts.says(200, html.encode(), Content_Type="text/html"))


def test_the_client_brings_a_look_of_its_own(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page, host: hosts.Host
) -> None:
    page.goto(foreign(web, host, receipt))
    execution.progress(Snapshot(0.5, ()))
    bar = page.locator("#cv-pg-bar")
    expect(bar).to_have_attribute("aria-valuenow", "50")
    track = page.locator("#here .progress").bounding_box()
    assert track
    assert track["height"] >= 16
    execution.finish(Outcome("{}"))
    expect(bar).to_have_class("progress-bar progress-bar-success bg-success")
    expect(bar).to_have_css("background-color", "rgb(44, 138, 75)")
    expect(page.locator("#cv-pg-display")).to_have_text("Done")


@pytest.mark.parametrize("look", [BOOTSTRAP_4, "<style>div { border: 7px solid red; padding: 3px; }</style>"])
def test_the_look_of_the_page_has_precedence(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page, host: hosts.Host, look: str
) -> None:
    page.goto(foreign(web, host, receipt, look=look))
    expect(page.locator("#cv-log")).to_be_visible()
    if look is BOOTSTRAP_4:
        expect(page.locator("#cv-pg-bar")).to_have_css("background-color", "rgb(0, 123, 255)")
        expect(page.locator("#here .progress")).to_have_css("height", "16px")
        execution.finish(Outcome("{}"))
        expect(page.locator("#cv-pg-bar")).to_have_css("background-color", "rgb(40, 167, 69)")
    else:
        expect(page.locator("#cv-log")).to_have_css("border-top-width", "7px")
        expect(page.locator("#cv-log")).to_have_css("padding-left", "3px")


def test_a_template_of_the_page_is_filled(web: Checkout, execution: Execution, page: Page, receipt: Receipt) -> None:
    page.goto(f"{web.url}/docs/embed")
    page.evaluate(
        f"""() => {{
          const template = document.createElement("template");
          template.innerHTML = "<p>Mine: <b id='cv-pg-display'></b></p>";
          const watcher = new TaskWatcher("{web.url.replace("http", "ws", 1)}", {receipt.ticket}, true);
          watcher.bootstrap_ui(document.querySelector("#example"), template);
          watcher.connect();
        }}"""
    )
    execution.log(Level.INFO, "shown nowhere")
    execution.progress(Snapshot(0.5, ()))
    execution.finish(Outcome())
    expect(page.locator("#example")).to_have_text("Mine: Failed")


def test_a_callback_that_fails_keeps_nothing_from_the_others(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/docs/embed")
    told = page.evaluate(
        """() => {
          const told = [];
          const watcher = new TaskWatcher("ws://host.example", 5, false);
          addEventListener("error", (event) => { told.push(event.message); event.preventDefault(); });
          watcher.on("done", () => { throw new Error("mine"); }).on("done", (success) => told.push(success));
          watcher.trigger("done", true);
          try { watcher.emit("captcha_response", "x"); } catch (error) { told.push(error.message); }
          return told;
        }"""
    )
    assert told == ["Uncaught Error: mine", True, "This connection is read-only!"]


def test_captchas_are_asked_once_on_a_foreign_page(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page, host: hosts.Host
) -> None:
    answers: list[str | None] = []
    asking = threading.Thread(target=lambda: answers.append(execution.ask(f"{web.url}/static/logo.svg")))
    asking.start()
    page.goto(foreign(web, host, receipt, interactive=True))
    field = page.get_by_label("What the picture shows")
    field.fill("xyz")
    with page.expect_websocket():
        page.evaluate("dispatchEvent(new Event('online'))")
    expect(field).to_have_count(1)
    expect(field).to_have_value("xyz")
    field.press("Enter")
    asking.join(10)
    assert answers == ["xyz"]


def test_who_may_not_watch_is_told_so_and_let_in_later(
    valkey: str, receipt: Receipt, execution: Execution, browser: Browser, page: Page, host: hosts.Host
) -> None:
    execution.log(Level.INFO, "one")
    with checkouts.checkout(REDIS=valkey, WATCHERS_PER_ADDRESS=1) as copy:
        copy.start_web()
        page.goto(foreign(copy, host, receipt))
        expect(page.locator("#cv-log")).to_contain_text("INFO: one")
        second = browser.new_page()
        second.goto(page.url)
        expect(second.locator("#cv-note")).to_have_text(
            "The server lets nobody else watch from here just now. Trying again …"
        )
        page.goto("about:blank")
        expect(second.locator("#cv-log")).to_contain_text("INFO: one", timeout=30_000)
        expect(second.locator("#cv-note")).to_have_text("")
        second.close()


def test_the_example_watches_a_ticket(web: Checkout, receipt: Receipt, execution: Execution, page: Page) -> None:
    execution.log(Level.INFO, "one")
    page.goto(f"{web.url}/docs/embed")
    page.get_by_label("Ticket").fill(str(receipt.ticket))
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#cv-log")).to_contain_text("INFO: one")
    execution.finish(Outcome("{}"))
    expect(page.get_by_text("Your page was told: done (true)")).to_be_visible()


def test_the_example_plays_a_recording(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/docs/embed")
    page.get_by_role("button", name="Play a recording").click()
    expect(page.get_by_text("Your page was told: done (true)")).to_be_visible()
    expect(page.locator("#cv-log > div")).to_have_count(5)


def test_the_types_and_the_page_name_what_there_is(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/docs/embed")
    methods = page.evaluate("Object.getOwnPropertyNames(TaskWatcher.prototype)")
    types = (OURS / "converter.d.ts").read_text()
    watcher = types[types.index("declare class TaskWatcher") : types.index("declare class Converter")]
    assert set(re.findall(r"^  (\w+)[(<]", watcher, re.MULTILINE)) == set(methods)
    explained = page.locator(".members").all_inner_texts()
    for method in set(methods) - {"constructor"}:
        assert f"{method}(" in explained[0]
    events = types[types.index("interface TaskWatcherEvents") : types.index("type TaskWatcherPart")]
    for event in re.findall(r"^  (\w+): \[", events, re.MULTILINE):
        assert event in explained[1]
