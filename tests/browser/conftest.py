"""A real browser, and a web process whose tickets the tests play the worker for."""

import os
import shutil
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Browser, Page, sync_playwright

from knossosd.settings import Settings
from knossosd.tickets.store import Tickets
from tests import checkouts
from tests.checkouts import Checkout

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Without one these tests are skipped, but not where everything has to be tested."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        message = "no Chromium is installed (Debian: apt install chromium)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which no script may fail."""
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    yield page
    page.close()
    assert errors == []


@pytest.fixture(scope="package")
def web(valkey: str) -> Iterator[Checkout]:
    """A running web process."""
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start_web()
        yield copy


@pytest.fixture
def tickets(web: Checkout, redis_client: redis.Redis, settings: Settings) -> Tickets:
    """The tickets that the web process knows."""
    return Tickets(redis_client, settings)
