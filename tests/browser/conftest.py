"""A real browser, and a web process whose tickets the tests play the worker for."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, Page, sync_playwright

from knossosd.settings import CHECKOUT, Settings
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


Shoot = Callable[[str], None]


@pytest.fixture
def shoot(page: Page, tmp_path: Path) -> Shoot:
    """Takes pictures of the page: light, dark and on a phone. With `SCREENSHOTS=1` they go to docs/screenshots/."""
    folder = CHECKOUT / "docs" / "screenshots" if os.environ.get("SCREENSHOTS") else tmp_path

    def take(name: str) -> None:
        for scheme, width, suffix in (("light", 1100, ""), ("dark", 1100, "-dark"), ("light", 360, "-phone")):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(50)  # the browser lays out the page anew
            page.screenshot(path=folder / f"{name}{suffix}.png", full_page=True, animations="disabled")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1100, "height": 800})

    return take


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
