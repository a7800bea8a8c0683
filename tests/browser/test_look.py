"""What all pages share: the frame, light and dark, phones, keyboards, and how much they load."""

from typing import Literal

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import Shoot
from tests.checkouts import Checkout

PAGES = ["", "converter", "tasks", "watch/5", "docs/document", "docs/embed"]

WITHOUT_BOOTSTRAP = 100_000
"""Bytes that a page may load besides Bootstrap, compressed or not."""

# Sums up how much of the page moves after it was painted first.
JUMPS = """
window.jumps = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.jumps += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def brightness(page: Page, selector: str) -> int:
    """The sum of red, green and blue of what is behind the element."""
    colour = page.locator(selector).evaluate("(element) => getComputedStyle(element).backgroundColor")
    return sum(int(part) for part in colour.strip("rgb()").split(","))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_landmarks_and_one_heading(web: Checkout, page: Page, name: str) -> None:
    page.goto(f"{web.url}/{name}")
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert "knossosd" in page.title()


def test_the_keyboard_reaches_the_content_first(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/converter")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_the_head_says_where_one_is(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/")
    page.get_by_role("navigation").get_by_role("link", name="Tasks").click()
    expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text("Tasks")


def test_the_pages_of_the_documentation_lead_to_each_other(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/")
    page.get_by_role("navigation").get_by_role("link", name="Docs").click()
    for name in ("Embedding", "The repo document"):
        page.get_by_role("navigation", name="Docs").get_by_role("link", name=name).click()
        expect(page.get_by_role("navigation", name="Docs").locator("[aria-current=page]")).to_have_text(name)
        expect(page.get_by_role("navigation", name="Main").locator("[aria-current]")).to_have_text("Docs")


def test_who_went_astray_finds_back(web: Checkout, page: Page) -> None:
    answer = page.goto(f"{web.url}/watch/nothing")
    assert answer
    assert answer.status == 404
    expect(page.get_by_role("heading", name="There is nothing at this address.")).to_be_visible()
    page.get_by_role("link", name="To the front page").click()
    expect(page).to_have_url(f"{web.url}/")


def test_the_front_page_leads_everywhere(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/")
    links = page.get_by_role("main").get_by_role("link")
    leads = {str(link.get_attribute("href")) for link in links.all()}
    assert {"/converter", "/tasks", "/docs/document", "/docs/embed", "/schema.json", "/openapi.json"} <= leads


def test_the_page_follows_the_system_into_the_dark_and_back(web: Checkout, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{web.url}/")
    assert brightness(page, "body") < 3 * 60
    page.emulate_media(color_scheme="light")
    expect(page.locator("html[data-bs-theme=light]")).to_have_count(1)
    assert brightness(page, "body") > 3 * 200


def test_bootstrap_is_the_one_that_was_published(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/")  # the browser refuses a style sheet whose checksum is not the page's
    button = page.locator(".btn-primary").first
    expect(button).to_have_css("cursor", "pointer")
    expect(button).not_to_have_css("padding-left", "0px")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 1100])
def test_pages_fit_and_do_not_jump(web: Checkout, page: Page, name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 640})
    page.add_init_script(JUMPS)
    page.goto(f"{web.url}/{name}", wait_until="networkidle" if name != "watch/5" else "load")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.jumps") < 0.01


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_light_besides_bootstrap(web: Checkout, page: Page, name: str) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(f"{web.url}/{name}", wait_until="load")
    ours = {answer.url: len(answer.body()) for answer in answers if "/static/" in answer.url}
    del ours[next(url for url in ours if url.endswith("/bootstrap.min.css"))]
    assert any(url.endswith("/knossosd.css") for url in ours)
    assert sum(ours.values()) < WITHOUT_BOOTSTRAP


# What can be read only with effort: texts whose contrast to what is behind them is under 4.5, or 3 when they are large.
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colour, [r, g, b]) => {
    canvas.fillStyle = `rgb(${r}, ${g}, ${b})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (element) => {
    const further = element.parentElement ? behind(element.parentElement) : [255, 255, 255];
    return over(getComputedStyle(element).backgroundColor, further);
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    element.checkVisibility() && !element.closest(":disabled, noscript, .visually-hidden") &&
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()));
  return texts.flatMap((element) => {
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const [one, other] = [light(over(color, behind(element))), light(behind(element))];
    const contrast = Math.max(one, other) / Math.min(one, other);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    return contrast < (large ? 3 : 4.5) ? [`${element.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`] : [];
  });
}"""


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(web: Checkout, page: Page, name: str, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{web.url}/{name}")
    if name == "converter":
        page.locator("#data").fill('{"id": 5}')
        expect(page.locator("#problems li")).not_to_have_count(0)
    assert page.evaluate(FAINT) == []
    page.locator("h1").evaluate("(heading) => { heading.style.color = '#8886'; }")
    assert len(page.evaluate(FAINT)) == 1


def test_pictures_of_the_front_page(web: Checkout, page: Page, shoot: Shoot) -> None:
    page.goto(f"{web.url}/")
    shoot("front")
