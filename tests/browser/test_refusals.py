"""What the pages say when the server does not do what it is asked."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from knossosd.tickets.store import Tickets
from tests import checkouts
from tests.checkouts import KEY, Checkout, a_document

LINK = "https://host.example/a.7z"
BUSY = "The queue is full. Please try again later."
PROXY = "<h1>From a proxy in between</h1>"

REPLIES = [
    (
        {"status": 429, "json": {"error": True, "message": BUSY}, "headers": {"Retry-After": "90"}},
        f"{BUSY} It can be tried again in 1 min 30 s.",
    ),
    ({"status": 503, "json": {"error": True, "message": BUSY}}, BUSY),
    ({"status": 413, "body": PROXY}, "This is larger than what the server takes."),
    (
        {"status": 429, "body": PROXY, "headers": {"Retry-After": "5"}},
        "The server was asked too often. It can be tried again in 5 s.",
    ),
    ({"status": 503, "body": PROXY}, "The server cannot do that just now."),
    ({"status": 502, "body": PROXY}, "The server answered 502."),
]

refusals = pytest.mark.parametrize(("reply", "said"), REPLIES, ids=lambda value: str(value)[:24])


@pytest.fixture
def converter(web: Checkout, page: Page) -> Page:
    """The page, with a key."""
    page.add_init_script(f"sessionStorage.setItem('knossosd-key', '{KEY}')")
    page.goto(f"{web.url}/converter")
    expect(page.locator("#why")).to_have_text("There is no document yet.")
    return page


@refusals
def test_a_document_that_is_not_taken(converter: Page, reply: dict[str, Any], said: str) -> None:
    converter.route("**/api/converter/request", lambda route: route.fulfill(**reply))
    converter.get_by_role("button", name="Begin with an example").click()
    converter.get_by_role("button", name="Convert").click()
    expect(converter.locator("#refusal")).to_have_text(said)
    converter.unroute("**/api/converter/request")
    converter.get_by_role("button", name="Convert").click()
    converter.wait_for_url("**/watch/*")


@refusals
def test_a_document_that_is_not_checked(converter: Page, reply: dict[str, Any], said: str) -> None:
    converter.route("**/api/converter/check", lambda route: route.fulfill(**reply))
    converter.get_by_role("button", name="Begin with an example").click()
    expect(converter.locator("#verdict")).to_have_text(f"The schema finds nothing wrong. {said}")


@refusals
def test_an_archive_that_is_not_taken(converter: Page, reply: dict[str, Any], said: str) -> None:
    converter.route("**/drop/**", lambda route: route.fulfill(**reply))
    converter.set_input_files("#files", {"name": "a.7z", "mimeType": "", "buffer": b"7z\xbc\xaf\x27\x1c"})
    row = converter.locator("#uploads li")
    expect(row).to_contain_text(said)
    expect(row.get_by_role("button", name="Retry a.7z")).to_be_visible()


@refusals
def test_a_key_that_cannot_be_tried(web: Checkout, page: Page, reply: dict[str, Any], said: str) -> None:
    page.route("**/api/converter/check", lambda route: route.fulfill(**reply))
    page.goto(f"{web.url}/converter")
    page.get_by_label("API key", exact=True).fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#key [role=alert]")).to_have_text(said)
    assert page.evaluate("sessionStorage.getItem('knossosd-key')") is None


@refusals
def test_a_monitor_that_cannot_be_read(converter: Page, reply: dict[str, Any], said: str) -> None:
    converter.route("**/api/monitor", lambda route: route.fulfill(**reply))
    converter.goto(converter.url.replace("/converter", "/tasks"))
    expect(converter.locator("#line")).to_have_text(f"{said} Trying again…")


def test_a_quota_that_is_used_up(valkey: str, tickets: Tickets, page: Page) -> None:
    with checkouts.checkout(REDIS=valkey, TICKETS_PER_HOUR=1) as copy:
        copy.start_web()
        copy.submit(a_document(LINK))
        page.add_init_script(f"sessionStorage.setItem('knossosd-key', '{KEY}')")
        page.goto(f"{copy.url}/converter")
        page.get_by_role("button", name="Begin with an example").click()
        page.get_by_role("button", name="Convert").click()
        expect(page.locator("#refusal")).to_contain_text("More than 1 conversions in an hour. It can be tried again in")
