"""The page /watch/<ticket>, while a conversion waits, runs and has ended."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from knossosd.conversion.observer import FileProgress, Level, Snapshot, Stage
from knossosd.faults import Code, Finding
from knossosd.tickets import questions
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Receipt, Tickets
from tests import checkouts
from tests.browser.conftest import Shoot
from tests.browser.test_look import JUMPS
from tests.checkouts import Checkout

NAMES = ("core.7z", "voices.7z", "music.7z", "movies.zip", "readme.txt")


@pytest.fixture
def watched(web: Checkout, receipt: Receipt, page: Page) -> Page:
    """The page of the ticket, by who has its token."""
    page.goto(f"{web.url}/watch/{receipt.ticket}#{receipt.token}")
    return page


def archive(name: str, stage: Stage, done: int = 0, total: int | None = None, rate: float = 0) -> FileProgress:
    return FileProgress("my_mod", "Core", name, stage, done, total, rate)


def planned(*names: str) -> list[FileProgress]:
    return [archive(name, Stage.WAITING) for name in names]


def generated(files: int, archives: int = 1) -> str:
    """A generated document whose only package has so many files, in folders of a hundred."""
    entries = [
        {
            "filename": f"data/part{number // 100}/file{number:05}.pof",
            "archive": "core.7z",
            "orig_name": f"data/part{number // 100}/file{number:05}.pof",
            "checksum": ["sha256", f"{number:064x}"],
            "md5sum": f"{number:032x}",
        }
        for number in range(files)
    ]
    packed = [{"filename": f"{number}.7z", "filesize": 150_000_000} for number in range(archives)]
    package = {"name": "Core", "status": "required", "files": packed, "filelist": entries}
    return json.dumps(
        {"mods": [{"id": "my_mod", "title": "My Mod", "version": "1.0.0", "packages": [package]}], "generated": 5}
    )


def bar_of(page: Page, name: str) -> Any:
    return page.get_by_role("list", name="Archives").get_by_role("listitem").filter(has_text=name)


def test_who_waits_sees_the_place_in_the_queue(web: Checkout, tickets: Tickets, page: Page) -> None:
    tickets.create("{}", title="First")
    second = tickets.create("{}", title="Second")
    page.goto(f"{web.url}/watch/{second.ticket}")
    expect(page.get_by_role("heading", name="Second")).to_be_visible()
    state = page.locator(".state")
    expect(state).to_have_text("Waiting: number 2 in the queue.")
    first = min(tickets.all(), key=lambda ticket: ticket.created)
    assert Execution.claim(tickets, first.number)
    expect(state).to_have_text("Waiting: next in the queue.")
    execution = Execution.claim(tickets, second.ticket)
    assert execution
    execution.log(Level.INFO, "Downloading")
    expect(state).to_have_text("Converting.")


def test_every_archive_has_a_bar(execution: Execution, watched: Page) -> None:
    execution.planned(planned(*NAMES))
    expect(watched.get_by_role("list", name="Archives").get_by_role("listitem")).to_have_count(5)
    execution.finished(archive("core.7z", Stage.DONE, 100, 100))
    execution.finished(archive("movies.zip", Stage.FAILED))
    running = (
        archive("voices.7z", Stage.DOWNLOADING, 12_300_000, 40_000_000, 2_000_000),
        archive("music.7z", Stage.INSPECTING, 500, None, 0),
    )
    execution.progress(Snapshot(0.42, running))
    voices = bar_of(watched, "voices.7z")
    expect(voices).to_contain_text("downloading")
    expect(voices).to_contain_text("12.3 MB of 40.0 MB · 2.0 MB/s · 14 s left")
    bar = voices.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "30")
    expect(bar).to_have_attribute("aria-label", "voices.7z, downloading")
    expect(bar_of(watched, "music.7z")).to_contain_text("inspecting")
    expect(bar_of(watched, "core.7z")).to_contain_text("done")
    expect(bar_of(watched, "movies.zip")).to_contain_text("failed")
    expect(bar_of(watched, "readme.txt")).to_contain_text("waiting")
    expect(watched.get_by_role("progressbar", name="Conversion")).to_have_attribute("aria-valuenow", "42")
    execution.progress(Snapshot(0.42, running))  # a speed of some seconds ago is not shown any more
    expect(watched.locator("#cv-pg-display")).to_contain_text("42 % · 2 of 5 archives · 2.0 MB/s")
    assert watched.title().startswith("42 % · My Mod 1.0.0")
    execution.progress(Snapshot(0.99, (archive("core.7z", Stage.MIRRORING),)))
    expect(bar_of(watched, "core.7z")).to_contain_text("mirroring")
    execution.progress(Snapshot(1, ()))
    execution.progress(Snapshot(1, ()))
    expect(bar_of(watched, "core.7z")).to_contain_text("done")
    expect(watched.get_by_role("progressbar", name="Conversion")).to_have_attribute("aria-valuenow", "99")
    execution.finish(Outcome("{}"))


def test_a_speed_of_a_while_ago_is_not_shown_as_the_present_one(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page
) -> None:
    page.clock.install()
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    execution.planned(planned("core.7z"))
    execution.progress(Snapshot(0.3, (archive("core.7z", Stage.DOWNLOADING, 12_300_000, 40_000_000, 2_000_000),)))
    expect(bar_of(page, "core.7z")).to_contain_text("2.0 MB/s · 14 s left")
    page.clock.run_for(12_000)
    expect(bar_of(page, "core.7z")).to_contain_text("12.3 MB of 40.0 MB · nothing for 1")
    execution.progress(Snapshot(0.3, (archive("core.7z", Stage.DOWNLOADING, 12_400_000, 40_000_000, 1_000_000),)))
    expect(bar_of(page, "core.7z")).to_contain_text("12.4 MB of 40.0 MB · 1.0 MB/s")


def test_the_bars_survive_a_reload(execution: Execution, watched: Page) -> None:
    execution.planned(planned("core.7z", "music.7z", "readme.txt"))
    execution.finished(archive("core.7z", Stage.DONE, 100, 100))
    execution.progress(Snapshot(0.5, (archive("music.7z", Stage.DOWNLOADING, 50, 100, 7),)))
    watched.reload()
    expect(bar_of(watched, "core.7z")).to_contain_text("done")
    expect(bar_of(watched, "music.7z")).to_contain_text("downloading")
    expect(bar_of(watched, "readme.txt")).to_contain_text("waiting")
    expect(watched.get_by_role("button", name="Cancel")).to_be_visible()


def test_a_conversion_that_starts_again_starts_again_on_the_page(
    tickets: Tickets, receipt: Receipt, execution: Execution, watched: Page
) -> None:
    execution.planned(planned("core.7z"))
    execution.finished(archive("core.7z", Stage.DONE, 100, 100))
    expect(bar_of(watched, "core.7z")).to_contain_text("done")
    assert execution.hand_back("It is to be tried again.")
    again = Execution.claim(tickets, receipt.ticket)
    assert again
    again.planned(planned("core.7z"))
    expect(bar_of(watched, "core.7z")).to_contain_text("waiting")


def test_five_thousand_archives_are_not_five_thousand_bars(execution: Execution, watched: Page) -> None:
    execution.planned(planned(*(f"{number}.7z" for number in range(5000))))
    expect(watched.locator(".part-head p").first).to_have_text("5,000 waiting")
    execution.progress(Snapshot(0.5, (archive("4000.7z", Stage.DOWNLOADING, 50, 100, 7),)))
    expect(bar_of(watched, "4000.7z")).to_be_in_viewport()
    assert watched.locator(".bar").count() < 50


def test_the_log_is_coloured_filtered_and_text(execution: Execution, watched: Page) -> None:
    execution.log(Level.INFO, "<b>Downloading</b>")
    execution.log(Level.WARNING, "Twins.")
    execution.log(Level.ERROR, "Broken.")
    lines = watched.locator("#cv-log > div")
    expect(lines).to_have_text(["INFO: <b>Downloading</b>", "WARNING: Twins.", "ERROR: Broken."])
    info, _, error = (
        line.evaluate("(element) => getComputedStyle(element).color")
        for line in (lines.nth(0), lines.nth(1), lines.nth(2))
    )
    assert info != error
    watched.get_by_label("Least level").select_option("Warnings and errors")
    expect(lines.filter(visible=True)).to_have_text(["WARNING: Twins.", "ERROR: Broken."])
    watched.get_by_label("Least level").select_option("All lines")
    watched.get_by_label("Only lines with").fill("DOWN")
    expect(lines.filter(visible=True)).to_have_text(["INFO: <b>Downloading</b>"])
    execution.log(Level.INFO, "Downloading more")
    expect(lines.filter(visible=True)).to_have_count(2)


def test_the_log_follows_until_the_reader_scrolls_away(execution: Execution, watched: Page) -> None:
    watched.set_viewport_size({"width": 1100, "height": 1000})
    for number in range(100):
        execution.log(Level.INFO, str(number))
    log = watched.locator("#cv-log")
    newest = watched.get_by_role("button", name="Newest")
    expect(log.get_by_text("INFO: 99", exact=True)).to_be_in_viewport()
    expect(newest).to_be_hidden()
    log.hover()
    watched.mouse.wheel(0, -500)
    expect(newest).to_be_visible()
    execution.log(Level.INFO, "unseen")
    expect(log).to_contain_text("unseen")
    expect(log.get_by_text("unseen")).not_to_be_in_viewport()
    newest.click()
    expect(log.get_by_text("unseen")).to_be_in_viewport()
    execution.log(Level.INFO, "followed")
    expect(log.get_by_text("followed")).to_be_in_viewport()


def test_the_log_stays_at_its_end_when_the_phone_is_turned(execution: Execution, watched: Page) -> None:
    for number in range(60):
        execution.log(Level.INFO, f"A line that needs more than one line on a phone that is held upright {number}")
    last = watched.locator("#cv-log > div").last
    for width in (1100, 360, 1100):
        watched.set_viewport_size({"width": width, "height": 1600})
        expect(last).to_be_in_viewport(ratio=1)
        expect(watched.get_by_role("button", name="Newest")).to_be_hidden()


def test_the_log_follows_when_it_is_laid_out_anew_just_after_it_moved(execution: Execution, watched: Page) -> None:
    for number in range(60):
        execution.log(Level.INFO, f"A line that needs more than one line where there is little room {number}")
    watched.set_viewport_size({"width": 1100, "height": 1600})
    last = watched.locator("#cv-log > div").last
    expect(last).to_be_in_viewport(ratio=1)
    # A browser tells of a move one frame later, when the lines may be longer than they were.
    watched.locator("#cv-log").evaluate("box => { box.style.width = '12rem'; box.dispatchEvent(new Event('scroll')); }")
    expect(watched.get_by_role("button", name="Newest")).to_be_hidden()
    expect(last).to_be_in_viewport(ratio=1)
    watched.locator("#cv-log").evaluate("box => { box.scrollTop -= 100; }")
    expect(watched.get_by_role("button", name="Newest")).to_be_visible()


def test_what_was_found_is_shown_to_who_has_the_token(execution: Execution, watched: Page) -> None:
    warning = Finding(Code.CASE_CONFLICT, "Twins.", "Rename them.", mod="my_mod", package="Core", file="core.7z")
    execution.finish(Outcome(generated(3, archives=2), warnings=(warning,)))
    outcome = watched.locator("#outcome")
    expect(watched.locator(".state")).to_have_text("Converted.")
    expect(watched.locator("#cv-pg-bar")).to_have_class("progress-bar progress-bar-success")
    expect(outcome).to_contain_text("1 package · 3 files · 300 MB to download")
    expect(outcome.get_by_role("row", name="Core")).to_contain_text("300 MB")
    for part in ("my_mod > Core > core.7z", "Twins.", "Rename them.", "case_conflict"):
        expect(outcome.locator(".warnings")).to_contain_text(part)
    expect(outcome.get_by_role("treeitem", name="file00002.pof")).to_be_visible()
    outcome.get_by_text("Generated document").click()
    expect(outcome.get_by_role("region", name="Generated document")).to_contain_text('"title": "My Mod"')


def test_the_document_is_copied_and_downloaded(web: Checkout, execution: Execution, watched: Page) -> None:
    document = generated(3)
    execution.finish(Outcome(document))
    with watched.expect_download() as download:
        watched.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "my_mod-1.0.0.json"
    assert download.value.path().read_text() == document
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=web.url)
    watched.get_by_role("button", name="Copy").click()
    expect(watched.get_by_text("Copied.")).to_be_visible()
    assert watched.evaluate("navigator.clipboard.readText()") == document


def test_a_failure_is_told_in_plain_words_with_its_place(execution: Execution, watched: Page) -> None:
    execution.planned(planned("core.7z", "music.7z"))
    fault = Finding(
        Code.ARCHIVE_CORRUPT, "It is damaged.", "Pack it again.", mod="my_mod", package="Core", file="core.7z"
    )
    execution.finished(archive("core.7z", Stage.FAILED))
    execution.finish(Outcome(errors=(fault,)))
    expect(watched.locator(".state")).to_have_text("The conversion failed.")
    expect(watched.locator("#cv-pg-bar")).to_have_class("progress-bar progress-bar-danger")
    expect(bar_of(watched, "music.7z")).to_contain_text("not finished")
    watched.get_by_role("button", name="Result").press("Enter")
    expect(watched.get_by_role("heading", name="What went wrong")).to_be_focused()
    expect(watched.get_by_role("heading", name="What went wrong")).to_be_in_viewport()
    for part in ("my_mod > Core > core.7z", "It is damaged.", "Pack it again."):
        expect(watched.locator("#outcome")).to_contain_text(part)


def test_the_token_leaves_the_address(web: Checkout, receipt: Receipt, watched: Page) -> None:
    assert watched.url == f"{web.url}/watch/{receipt.ticket}"
    assert watched.evaluate(f"sessionStorage.getItem('knossosd-token-{receipt.ticket}')") == receipt.token
    expect(watched.get_by_role("button", name="Cancel")).to_be_visible()


def test_who_has_no_token_watches_and_is_asked_for_it(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page
) -> None:
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    execution.log(Level.WARNING, "my_mod: Twins.")
    execution.finish(Outcome(generated(3)))
    outcome = page.locator("#outcome")
    expect(outcome.locator(".warnings")).to_contain_text("my_mod: Twins.")
    expect(outcome).to_contain_text("is for whoever has the conversion's token")
    page.get_by_text("Have the token?").click()
    for token, seen in (("wrong", "That is not the token"), (receipt.token, "3 files")):
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Use").click()
        expect(page.locator("#live")).to_contain_text(seen)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    expect(page.get_by_role("button", name="Result")).to_have_count(1)


def test_a_result_that_could_not_be_fetched_is_fetched_again(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page
) -> None:
    execution.finish(Outcome(generated(3)))
    page.route("**/api/converter/retrieve", lambda route: route.abort(), times=1)
    page.goto(f"{web.url}/watch/{receipt.ticket}#{receipt.token}")
    expect(page.get_by_text("The result could not be fetched")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#outcome")).to_contain_text("3 files")
    expect(page.get_by_text("The result could not be fetched")).to_have_count(0)


def test_who_types_the_token_is_not_disturbed_by_the_end(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page
) -> None:
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    page.get_by_text("Have the token?").click()
    page.get_by_label("Token").fill(receipt.token[:20])
    execution.finish(Outcome(generated(3)))
    expect(page.locator("#outcome")).to_be_visible()
    page.get_by_label("Token").press_sequentially(receipt.token[20:])
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("3 files")


def test_a_conversion_is_cancelled_by_who_means_it(tickets: Tickets, receipt: Receipt, watched: Page) -> None:
    expect(watched.get_by_role("heading", name="My Mod 1.0.0")).to_be_visible()  # the question names it
    for meant in ("Leave it", "Cancel it"):
        watched.get_by_role("button", name="Cancel", exact=True).click()
        dialog = watched.get_by_role("dialog", name="Cancel My Mod 1.0.0?")
        dialog.get_by_role("button", name=meant).click()
        expect(dialog).to_have_count(0)
    expect(watched.locator("#outcome")).to_contain_text("The conversion was cancelled.")
    expect(watched.get_by_role("button", name="Cancel")).to_have_count(0)
    found = tickets.get(receipt.ticket)
    assert found is not None
    assert found.errors[0]["code"] == "cancelled"


def test_an_unknown_conversion_is_none(web: Checkout, page: Page) -> None:
    page.goto(f"{web.url}/watch/5")
    expect(page.locator(".state")).to_contain_text("There is no such conversion")


def test_a_captcha_is_answered_in_the_page(web: Checkout, execution: Execution, watched: Page) -> None:
    answers: list[str | None] = []
    asking = threading.Thread(target=lambda: answers.append(execution.ask(f"{web.url}/static/logo.svg")))
    asking.start()
    watched.get_by_label("What the picture shows").fill("xyzzy")
    watched.get_by_role("button", name="Send").click()
    asking.join(10)
    assert answers == ["xyzzy"]


def test_a_captcha_that_somebody_else_answered_goes(
    web: Checkout, tickets: Tickets, receipt: Receipt, execution: Execution, watched: Page
) -> None:
    asking = threading.Thread(target=execution.ask, args=(f"{web.url}/static/logo.svg",))
    asking.start()
    expect(watched.locator(".cv-captcha")).to_be_visible()
    assert questions.answer(tickets.client, receipt.ticket, "xyzzy")
    asking.join(10)
    expect(watched.locator(".cv-captcha")).to_have_count(0)


@pytest.fixture
def restartable(valkey: str) -> Iterator[Checkout]:
    """A web process that the test may stop and start."""
    with checkouts.checkout(REDIS=valkey) as copy:
        yield copy


def test_the_page_survives_a_restart_of_the_server(
    restartable: Checkout, receipt: Receipt, execution: Execution, page: Page
) -> None:
    process = restartable.start_web()
    execution.log(Level.INFO, "before")
    page.goto(f"{restartable.url}/watch/{receipt.ticket}#{receipt.token}")
    expect(page.locator("#cv-log")).to_contain_text("before")
    process.terminate()
    process.wait(20)
    expect(page.get_by_text("The connection is lost.")).to_be_visible()
    execution.log(Level.INFO, "meanwhile")
    restartable.start_web()
    execution.finish(Outcome(generated(3)))
    expect(page.locator("#outcome")).to_contain_text("3 files", timeout=30_000)
    expect(page.locator("#cv-log > div")).to_have_text(["INFO: before", "INFO: meanwhile"])
    expect(page.get_by_text("The connection is lost.")).to_have_count(0)


def test_who_comes_back_from_another_network_connects_at_once(execution: Execution, watched: Page) -> None:
    execution.log(Level.INFO, "before")
    expect(watched.locator("#cv-log")).to_contain_text("before")
    with watched.expect_websocket(lambda socket: "after=" in socket.url):
        watched.evaluate("dispatchEvent(new Event('online'))")
    execution.log(Level.INFO, "after")
    expect(watched.locator("#cv-log > div")).to_have_text(["INFO: before", "INFO: after"])


def test_who_has_slept_connects_anew(web: Checkout, receipt: Receipt, execution: Execution, page: Page) -> None:
    page.clock.install()
    page.goto(f"{web.url}/watch/{receipt.ticket}")
    execution.log(Level.INFO, "before")
    expect(page.locator("#cv-log")).to_contain_text("before")
    with page.expect_websocket(lambda socket: "after=" in socket.url):
        page.clock.fast_forward("05:00")  # as if the lid was closed meanwhile
    execution.log(Level.INFO, "after")
    expect(page.locator("#cv-log > div")).to_have_text(["INFO: before", "INFO: after"])


@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_jumps_while_a_conversion_runs(
    web: Checkout, receipt: Receipt, execution: Execution, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(JUMPS)
    page.goto(f"{web.url}/watch/{receipt.ticket}#{receipt.token}")
    execution.planned(planned(*NAMES))
    for number in range(30):
        execution.log(Level.INFO, f"A line that tells something at length {number}")
        execution.progress(Snapshot(number / 30, (archive("core.7z", Stage.DOWNLOADING, number, 30, 7),)))
    execution.finish(Outcome(generated(500)))
    expect(page.locator("#outcome")).to_contain_text("500 files")
    page.wait_for_timeout(200)
    assert page.evaluate("window.jumps") < 0.05
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_pictures_of_a_running_conversion(execution: Execution, watched: Page, shoot: Shoot) -> None:
    execution.planned(planned(*NAMES))
    execution.log(Level.INFO, "Downloading core.7z")
    execution.log(Level.INFO, "Downloading voices.7z")
    execution.log(Level.INFO, "Inspecting core.7z")
    execution.log(Level.WARNING, "voices.7z: the first link does not answer, trying https://mirror.example/voices.7z")
    execution.log(Level.ERROR, "my_mod / Media / movies.zip: There is no such file at the host. Check the link.")
    execution.finished(archive("core.7z", Stage.DONE, 81_000_000, 81_000_000))
    execution.finished(archive("movies.zip", Stage.FAILED))
    running = (
        archive("voices.7z", Stage.DOWNLOADING, 123_000_000, 400_000_000, 5_200_000),
        archive("music.7z", Stage.INSPECTING, 30_000_000, 45_000_000, 80_000_000),
    )
    execution.progress(Snapshot(0.42, running))
    expect(bar_of(watched, "music.7z")).to_contain_text("inspecting")
    shoot("watch")


def test_pictures_of_an_outcome(execution: Execution, watched: Page, shoot: Shoot) -> None:
    execution.planned(planned(*NAMES))
    for name in NAMES:
        execution.log(Level.INFO, f"Downloading {name}")
        execution.finished(archive(name, Stage.DONE, 81_000_000, 81_000_000))
    conflict = Finding(
        Code.CASE_CONFLICT,
        "data/Tables/ships.tbl and data/tables/ships.tbl differ only in case.",
        "Rename one of them: on Windows they are one file.",
        mod="my_mod",
        package="Core",
        file="core.7z",
    )
    execution.finish(Outcome(generated(1200, archives=3), warnings=(conflict,)))
    watched.get_by_role("treeitem", name="data").click()
    watched.get_by_role("treeitem", name="part3").click()
    watched.get_by_text("Generated document").click()
    shoot("outcome")
