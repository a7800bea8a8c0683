"""Archives that are too large for one request: the page /converter sends them in parts."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests import archives, checkouts
from tests.checkouts import KEY, Checkout, wait_until

MIB = 1024**2
PARTS = 3
"""Of 16 MiB each, the last one smaller."""


@pytest.fixture(scope="module")
def server(valkey: str) -> Iterator[Checkout]:
    """A web process that takes little in one request, and who finishes uploads."""
    with checkouts.checkout(REDIS=valkey, MAX_CONTENT_LENGTH=MIB, MAX_UPLOAD_SIZE=100 * MIB) as copy:
        copy.start_web()
        script = Path(sys.executable).parent / "huey_consumer"
        copy.start(str(script), "knossosd.tasks.upkeep", "-k", "thread", "-w", "2")
        yield copy


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that has three parts."""
    folder = tmp_path_factory.mktemp("large")
    return archives.pack(folder / "large_mod-1.0.7z", {"root.vp": os.urandom(40 * MIB)}, "-mx0")


@pytest.fixture
def converter(server: Checkout, page: Page) -> Page:
    """The page, with a key."""
    page.add_init_script(f"sessionStorage.setItem('knossosd-key', '{KEY}')")
    page.on("dialog", lambda dialog: dialog.accept())  # who leaves while something is uploaded is asked
    page.goto(f"{server.url}/converter")
    expect(page.locator("#why")).to_have_text("There is no document yet.")
    return page


@pytest.fixture
def sent(converter: Page) -> list[tuple[str, str]]:
    """The method and the path of every request to the upload doors, as they come."""
    requests: list[tuple[str, str]] = []

    def note(request: Any) -> None:
        path = request.url.partition("?")[0].partition("/api/chunked")[2]
        if "/api/chunked" in request.url or "/drop/" in request.url:
            requests.append((request.method, path.rpartition("/")[2]))

    converter.on("request", note)
    return requests


def parts_of(sent: list[tuple[str, str]]) -> list[int]:
    return [int(name) for method, name in sent if method == "PUT"]


def test_a_large_archive_goes_in_parts_and_into_the_document(
    converter: Page, archive: Path, sent: list[tuple[str, str]]
) -> None:
    converter.set_input_files("#files", archive)
    row = converter.locator("#uploads li")
    expect(row).to_contain_text("MB uploaded", timeout=60_000)
    assert parts_of(sent) == [0, 1, 2]
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    assert "/mirror/uploads/" in converter.locator("#data").input_value()
    assert converter.evaluate("Object.keys(sessionStorage).filter((name) => name.includes('upload'))") == []


def test_a_part_that_breaks_off_or_is_refused_for_a_while_is_sent_again(
    converter: Page, archive: Path, sent: list[tuple[str, str]]
) -> None:
    reply = {"status": 503, "json": {"error": True}, "headers": {"Retry-After": "1"}}
    converter.route("**/parts/1?*", lambda route: route.abort(), times=3)
    converter.route("**/parts/2?*", lambda route: route.fulfill(**reply), times=1)
    converter.set_input_files("#files", archive)
    row = converter.locator("#uploads li")
    expect(row).to_contain_text("The upload broke off. Trying again …", timeout=60_000)
    expect(row).to_contain_text("MB uploaded", timeout=60_000)
    assert parts_of(sent) == [0, 1, 1, 1, 1, 2, 2]


def test_an_upload_goes_on_after_the_page_was_loaded_anew(
    converter: Page, archive: Path, sent: list[tuple[str, str]]
) -> None:
    held: list[Route] = []
    converter.route("**/parts/1?*", lambda route: held.append(route), times=1)
    converter.set_input_files("#files", archive)
    wait_until(lambda: converter.wait_for_timeout(50) or held, "the second part is on its way")
    converter.reload()
    sent.clear()
    converter.set_input_files("#files", archive)
    expect(converter.locator("#uploads li")).to_contain_text("MB uploaded", timeout=60_000)
    assert parts_of(sent) == [1, 2]


def test_what_is_removed_is_forgotten_by_the_server(
    server: Checkout, converter: Page, archive: Path, sent: list[tuple[str, str]]
) -> None:
    held: list[Route] = []
    converter.route("**/parts/1?*", lambda route: held.append(route), times=1)
    converter.set_input_files("#files", archive)
    wait_until(lambda: converter.wait_for_timeout(50) or held, "the second part is on its way")
    with converter.expect_response(lambda response: response.request.method == "DELETE") as given_up:
        converter.get_by_role("button", name="Remove").click()
    assert given_up.value.status == 200
    expect(converter.locator("#uploads li")).to_have_count(0)
    assert converter.evaluate("Object.keys(sessionStorage).filter((name) => name.includes('upload'))") == []


def test_what_is_larger_than_the_server_takes_is_told_at_once(
    converter: Page, tmp_path: Path, sent: list[tuple[str, str]]
) -> None:
    with (tmp_path / "huge.7z").open("wb") as file:
        file.truncate(101 * MIB)
    converter.set_input_files("#files", tmp_path / "huge.7z")
    expect(converter.locator("#uploads li")).to_contain_text("This is larger than what this server takes.")
    assert sent == []


def test_where_the_page_comes_without_tls_only_small_files_can_be_sent(
    converter: Page, archive: Path, sent: list[tuple[str, str]]
) -> None:
    converter.evaluate("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    converter.set_input_files("#files", archive)
    expect(converter.locator("#uploads li")).to_contain_text("only where this page comes by https")
    assert sent == []
