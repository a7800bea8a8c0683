"""A real browser, and a web process whose tickets the tests play the worker for."""

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, Page, sync_playwright

from knossosd.settings import CHECKOUT, Settings
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Receipt, Tickets
from tests import checkouts
from tests.checkouts import Checkout
from tests.tickets.steps import claimed

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCREENSHOTS = CHECKOUT / "docs" / "screenshots"
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


# The picture in a small form: text stays sharp in it, and it needs a third of what PNG does.
COMPRESSED = """async (picture) => {
  const image = await createImageBitmap(await (await fetch(picture)).blob());
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", 0.85);
}"""


@pytest.fixture
def shoot(page: Page, browser: Browser, tmp_path: Path) -> Shoot:
    """Takes pictures of the page: light, dark and on a phone. With `SCREENSHOTS=1` those in docs/screenshots/ that have
    the picture's name are replaced."""

    def take(name: str) -> None:
        for scheme, width, suffix in (("light", 1100, ""), ("dark", 1100, "-dark"), ("light", 360, "-phone")):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(50)  # the browser lays out the page anew
            path = tmp_path / f"{name}{suffix}.png"
            page.screenshot(path=path, full_page=True, animations="disabled")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
            shown = SCREENSHOTS / f"{name}{suffix}.webp"
            if os.environ.get("SCREENSHOTS") and shown.exists():
                shown.write_bytes(compressed(browser, path))
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1100, "height": 800})

    return take


def compressed(browser: Browser, path: Path) -> bytes:
    """The picture at `path`, as docs/ has it."""
    page = browser.new_page()
    picture = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    written = str(page.evaluate(COMPRESSED, picture))
    page.close()
    return base64.b64decode(written.partition(",")[2])


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


@pytest.fixture
def receipt(tickets: Tickets) -> Receipt:
    return tickets.create("{}", title="My Mod 1.0.0")


@pytest.fixture
def execution(tickets: Tickets, receipt: Receipt) -> Execution:
    """The hold of a worker, which the tests play."""
    return claimed(tickets, receipt)
