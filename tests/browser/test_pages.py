"""The pages, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from knossosd.faults import Code, Finding
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Receipt, Tickets
from tests import checkouts
from tests.checkouts import KEY, Checkout


@pytest.fixture
def receipt(tickets: Tickets) -> Receipt:
    return tickets.create("{}", title="My Mod 1.0.0")


def claimed(tickets: Tickets, number: int) -> Execution:
    execution = Execution.claim(tickets, number)
    assert execution is not None
    return execution


def test_the_task_list_asks_for_the_key(web: Checkout, tickets: Tickets, receipt: Receipt, page: Page) -> None:
    page.goto(f"{web.url}/tasks")
    page.locator("input[name=key]").fill("wrong")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("input[name=key]")).to_be_visible()
    page.locator("input[name=key]").fill(KEY)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#tasks")).to_contain_text("My Mod 1.0.0")
    expect(page.locator("#tasks")).to_contain_text("WAITING")


@pytest.fixture
def operator(web: Checkout, page: Page) -> Page:
    """A browser in which the key was given."""
    page.add_init_script(f"sessionStorage.setItem('knossosd-key', '{KEY}')")
    return page


def test_a_conversion_is_cancelled_in_the_task_list(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    operator.goto(f"{web.url}/tasks")
    row = operator.locator("#tasks tr")
    expect(row.get_by_role("button")).to_have_text(["cancel"])
    row.get_by_role("button", name="cancel").click()
    expect(row).to_contain_text("FAILED")
    [ticket] = tickets.all()
    assert (ticket.success, ticket.errors[0]["code"]) == (False, "cancelled")
    row.get_by_role("button", name="retry").click()
    expect(operator.get_by_role("status")).to_have_text(f"There was nothing to do for ticket {receipt.ticket}.")


def test_a_ticket_that_failed_is_tried_again_in_the_task_list(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    full = Finding(Code.DISK_FULL, "The server's disk is full.")
    claimed(tickets, receipt.ticket).finish(Outcome(errors=(full,)))
    operator.goto(f"{web.url}/tasks")
    row = operator.locator("#tasks tr")
    expect(row.get_by_role("button")).to_have_text(["retry", "remove"])
    row.get_by_role("button", name="retry").click()
    expect(row).to_contain_text("WAITING")
    claimed(tickets, receipt.ticket)
    expect(row).to_contain_text("WORKING")
    expect(row.get_by_role("button")).to_have_text(["cancel"])


def test_a_ticket_is_removed_in_the_task_list_by_who_means_it(
    web: Checkout, tickets: Tickets, receipt: Receipt, operator: Page
) -> None:
    claimed(tickets, receipt.ticket).finish(Outcome("{}"))
    operator.goto(f"{web.url}/tasks")
    remove = operator.locator("#tasks tr").get_by_role("button")
    expect(remove).to_have_text(["remove"])
    operator.once("dialog", lambda dialog: dialog.dismiss())
    remove.click()
    assert len(tickets.all()) == 1
    operator.once("dialog", lambda dialog: dialog.accept())
    remove.click()
    expect(operator.locator("#note")).to_have_text("Nothing to do at the moment.")
    assert tickets.all() == []


def test_in_an_open_task_list_who_has_no_key_only_looks(valkey: str, receipt: Receipt, page: Page) -> None:
    with checkouts.checkout(REDIS=valkey, OPEN_MONITOR=True) as copy:
        copy.start_web()
        page.goto(f"{copy.url}/tasks")
        expect(page.locator("#tasks tr")).to_contain_text("WAITING")
        assert page.locator("#tasks button").count() == 0
        page.evaluate(f"sessionStorage.setItem('knossosd-key', '{KEY}')")
        expect(page.locator("#tasks button")).to_have_text(["cancel"])
        page.evaluate("sessionStorage.setItem('knossosd-key', 'no key of ours')")
        page.locator("#tasks button").click()
        expect(page.get_by_role("status")).to_have_text("This API key may not do that.")
