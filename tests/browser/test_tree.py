"""The tree of files, with as many as the largest mods have."""

import pytest
from playwright.sync_api import Locator, Page, expect

from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Tickets
from tests.browser.test_watch import generated
from tests.checkouts import Checkout

MANY = 20_000


@pytest.fixture
def tree(web: Checkout, tickets: Tickets, page: Page) -> Locator:
    """The tree of a conversion that has ended, in 200 folders of 100 files."""
    ticket, token = tickets.create("{}", title="My Mod 1.0.0")
    execution = Execution.claim(tickets, ticket)
    assert execution is not None
    execution.finish(Outcome(generated(MANY)))
    page.goto(f"{web.url}/watch/{ticket}#{token}")
    tree = page.get_by_role("tree")
    expect(tree).to_be_visible()
    return tree


def test_twenty_thousand_files_are_not_twenty_thousand_elements(tree: Locator, page: Page) -> None:
    expect(page.locator("#outcome")).to_contain_text("20,000 files")
    page.get_by_role("button", name="Unfold all").click()
    page.get_by_text("Generated document").click()
    expect(page.locator("#outcome")).to_contain_text("200,024 lines")
    assert page.evaluate("document.querySelectorAll('*').length") < 600
    tree.evaluate("(element) => element.scrollTop = element.scrollHeight")
    last = tree.get_by_role("treeitem", name="file19999.pof")
    expect(last).to_be_visible()
    expect(last).to_have_attribute("aria-posinset", "100")
    expect(last).to_have_attribute("aria-level", "4")


def test_folders_are_folded_and_unfold(tree: Locator) -> None:
    expect(tree.get_by_role("treeitem")).to_have_text(["my_mod-1.0.020,000 files", "data20,000 files"])
    tree.get_by_role("treeitem", name="data").click()
    part = tree.get_by_role("treeitem", name="part7 100 files")
    expect(part).to_have_attribute("aria-expanded", "false")
    part.click()
    expect(part).to_have_attribute("aria-expanded", "true")
    expect(tree.get_by_role("treeitem", name="file00700.pof")).to_contain_text("core.7z")
    part.click()
    expect(tree.get_by_role("treeitem", name="file00700.pof")).to_have_count(0)


def test_searching_shows_what_is_found_with_its_folders(tree: Locator, page: Page) -> None:
    search = page.get_by_label("Search files")
    search.fill("FILE1234")
    expect(page.get_by_text("10 of 20,000 files")).to_be_visible()
    rows = [item.partition(".pof")[0] for item in tree.get_by_role("treeitem").all_inner_texts()]
    assert len(rows) == 13
    assert [row.split("\n")[0] for row in rows[:4]] == ["my_mod-1.0.0", "data", "part123", "file12340"]
    search.fill("no such file")
    expect(page.get_by_text("0 of 20,000 files")).to_be_visible()
    expect(tree.get_by_role("treeitem")).to_have_count(0)
    search.fill("")
    expect(tree.get_by_role("treeitem")).to_have_count(2)


def test_the_tree_is_walked_with_the_keyboard(tree: Locator, page: Page) -> None:
    tree.focus()

    for key, row in (
        ("ArrowDown", "data"),
        ("ArrowRight", "data"),  # which is unfolded now
        ("ArrowRight", "part0"),
        ("Enter", "part0"),
        ("ArrowRight", "file00000.pof"),
        ("ArrowLeft", "part0"),
        ("ArrowLeft", "part0"),  # which is folded now
        ("End", "part199"),
        ("Home", "my_mod-1.0.0"),
        ("End", "part199"),
    ):
        page.keyboard.press(key)
        read_out = page.locator(f"#{tree.get_attribute('aria-activedescendant')}")
        expect(read_out).to_be_in_viewport()
        expect(read_out.locator(".name")).to_have_text(row)
    assert tree.get_by_role("treeitem", name="part0").count() == 0  # far above
