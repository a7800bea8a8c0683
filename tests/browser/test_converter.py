"""The page /converter: writing, dropping, drafting and submitting a document, in a real browser."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from knossosd.faults import Code, Finding
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Tickets
from tests import archives
from tests.browser.conftest import Shoot
from tests.browser.test_look import JUMPS
from tests.checkouts import KEY, Checkout, a_document

LINK = "https://host.example/a.7z"
DATA = {"maps/ship.dds": b"dds", "tables/ships-shp.tbm": b"#Ship Classes"}
BUILD = {"fs2_open_24_2_0_x64.exe": b"MZ", "fs2_open_24_2_0_x64-FASTDBG.exe": b"MZ"}


@pytest.fixture
def converter(web: Checkout, page: Page) -> Page:
    """The page, before a key was given."""
    page.goto(f"{web.url}/converter")
    expect(page.locator("#why")).to_have_text("There is no document yet.")
    return page


@pytest.fixture
def signed_in(converter: Page) -> Page:
    """The page, with a key."""
    give_key(converter)
    return converter


@pytest.fixture
def worker(web: Checkout) -> Iterator[None]:
    """Somebody who looks into uploads and converts."""
    script = Path(sys.executable).parent / "huey_consumer"
    consumer = web.start(str(script), "knossosd.tasks.huey", "-k", "process", "-w", "1")
    yield
    consumer.terminate()
    consumer.wait(30)


def give_key(page: Page, key: str = KEY) -> None:
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()


def write(page: Page, document: Any) -> None:
    page.locator("#data").fill(document if isinstance(document, str) else json.dumps(document, indent=2))


def written(page: Page) -> Any:
    expect(page.locator("#data")).not_to_have_value("")
    return json.loads(page.locator("#data").input_value())


def problems(page: Page) -> Locator:
    return page.locator("#problems li")


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    """Drop files on the page, as from the desktop."""
    data = page.evaluate_handle(
        """(files) => {
          const data = new DataTransfer();
          for (const [name, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name));
          return data;
        }""",
        [[name, list(content)] for name, content in files],
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": data})
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def packed(folder: Path, name: str, files: archives.Files) -> tuple[str, bytes]:
    return name, archives.pack(folder / name, files).read_bytes()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{\n  "id": "a",\n}', "Line 2", "No comma may stand behind the last entry."),
        ('{\n  "id": "a"\n  "title": "A"\n}', "Line 3", 'A comma or "}" must stand here.'),
        ("{\n'id': 1}", "Line 2", "A name between double quotes must stand here."),
        ('{"id": "a", "id": "b"}', "Line 1", '"id" stands twice in the same object.'),
        ('{"mods": [\n', "Line 1", 'This "[" is not closed.'),
    ],
)
def test_what_is_no_json_is_shown_where_it_stands(converter: Page, text: str, line: str, message: str) -> None:
    write(converter, text)
    expect(problems(converter)).to_have_count(1)
    expect(problems(converter)).to_contain_text(message)
    expect(problems(converter).get_by_role("button")).to_have_text(line)
    expect(converter.get_by_text("1 problem", exact=True)).to_be_visible()


def test_a_document_is_checked_by_the_schema_while_it_is_typed(converter: Page) -> None:
    write(
        converter,
        a_document(LINK, version=5, packages=[{"name": "Core", "status": "maybe", "files": [{"urls": LINK}]}]),
    )
    expect(problems(converter)).to_have_count(4)
    said = "\n".join(problems(converter).all_inner_texts())
    for path, message in (
        ("version", "must be text"),
        ("packages[0].status", 'must be "required", "recommended" or "optional"'),
        ("packages[0].files[0].filename", "is missing"),
        ("packages[0].files[0].urls", "must be a list"),
    ):
        assert f"{path} {message}" in said
    write(converter, a_document(LINK))
    expect(converter.locator("#verdict")).to_contain_text("The schema finds nothing wrong.")
    expect(problems(converter)).to_have_count(0)
    give_key(converter)
    expect(converter.locator("#verdict")).to_have_text("Nothing is wrong with it.")


def test_a_problem_leads_to_its_place_and_to_what_the_field_means(web: Checkout, converter: Page) -> None:
    write(converter, a_document(LINK, packages=[{"name": "Core", "status": "maybe"}]))
    problem = problems(converter).filter(has_text="packages[0].status")
    problem.get_by_role("button").click()
    selected = "(area) => area.value.slice(area.selectionStart, area.selectionEnd)"
    assert converter.locator("#data").evaluate(selected) == '"maybe"'
    with converter.expect_popup() as opened:
        problem.get_by_role("link", name="about status").click()
    expect(opened.value.locator(":target")).to_contain_text("Whether players need the package")
    opened.value.close()


def test_what_no_schema_can_tell_the_server_tells_to_who_has_a_key(signed_in: Page) -> None:
    write(signed_in, a_document(LINK, version="new", shiny=True))
    expect(problems(signed_in)).to_have_text(
        ['Line 4version must be a version such as "1.2.3", but is "new"about version']
    )
    write(signed_in, a_document(LINK, shiny=True))
    expect(problems(signed_in)).to_contain_text("is not a field that this server knows")
    expect(problems(signed_in)).to_have_class("WARNING")
    expect(signed_in.locator("#verdict")).to_have_text("Nothing is wrong with it, but mind the 1 warning.")


def test_a_key_is_tried_kept_in_the_tab_and_asked_for_once(web: Checkout, converter: Page) -> None:
    give_key(converter, "wrong")
    expect(converter.get_by_role("alert").first).to_contain_text("does not know that API key")
    give_key(converter)
    expect(converter.get_by_text("An API key is kept in this tab.")).to_be_visible()
    converter.reload()
    expect(converter.get_by_label("API key", exact=True)).to_be_hidden()
    assert converter.evaluate("[sessionStorage.getItem('knossosd-key'), localStorage.length]") == [KEY, 0]
    converter.get_by_role("button", name="Use another one").click()
    expect(converter.get_by_label("API key", exact=True)).to_be_focused()


def test_a_document_is_submitted_and_the_page_becomes_the_live_view(
    web: Checkout, tickets: Tickets, converter: Page
) -> None:
    write(converter, a_document(LINK))
    converter.get_by_role("button", name="Convert").click()
    give_key(converter)  # which is asked for now, and the page goes on with it
    converter.wait_for_url("**/watch/*")
    [ticket] = tickets.all()
    assert converter.url == f"{web.url}/watch/{ticket.number}"
    expect(converter.locator("header [aria-current]")).to_have_count(0)
    expect(converter.locator("#live")).to_contain_text("The task is queued")
    execution = Execution.claim(tickets, ticket.number)
    assert execution is not None
    warning = Finding(Code.CASE_CONFLICT, "Twins.", "Rename them.", mod="my_mod")
    execution.finish(Outcome('{"mods":[]}', warnings=(warning,)))
    expect(converter.locator("#live")).to_contain_text("Rename them.")
    converter.reload()
    expect(converter.locator("#live")).to_contain_text("Rename them.")
    converter.go_back()
    expect(converter.locator("#data")).to_be_visible()
    assert written(converter) == a_document(LINK)


def test_what_the_server_refuses_is_listed_and_can_be_mended(tickets: Tickets, signed_in: Page) -> None:
    write(signed_in, a_document(LINK, packages=[]))
    signed_in.get_by_role("button", name="Convert").click()
    expect(signed_in.locator("#refusal")).to_have_text("The document is not valid yet.")
    expect(problems(signed_in)).to_contain_text("packages must not be empty")
    assert tickets.all() == []
    write(signed_in, a_document(LINK))
    signed_in.get_by_role("button", name="Convert").click()
    signed_in.wait_for_url("**/watch/*")


def test_the_same_text_makes_one_ticket_although_its_answer_was_lost(tickets: Tickets, signed_in: Page) -> None:
    write(signed_in, a_document(LINK))
    answers: list[int] = []

    def lose(route: Any) -> None:
        answers.append(route.fetch().status)
        route.abort()

    signed_in.route("**/api/converter/request", lose, times=1)
    signed_in.get_by_role("button", name="Convert").click()
    expect(signed_in.locator("#refusal")).to_contain_text("The server cannot be reached")
    assert answers == [200]
    signed_in.get_by_role("button", name="Convert").click()
    signed_in.wait_for_url("**/watch/*")
    assert len(tickets.all()) == 1


def test_a_document_is_dropped(converter: Page) -> None:
    drop(converter, ("mod.json", json.dumps(a_document(LINK)).encode()))
    expect(converter.get_by_label("Title")).to_have_value("My Mod")
    assert written(converter) == a_document(LINK)


def test_form_and_text_are_the_same_document(converter: Page) -> None:
    converter.get_by_role("button", name="Begin with an example").click()
    converter.get_by_label("Title").fill("Another Mod")
    package = converter.get_by_role("group", name="Package 1")
    package.get_by_label("Needs", exact=True).fill("FSO >=24.2.0, MVPS ~4.6.0, FSPort")
    package.get_by_label("Players need it").select_option("optional")
    document = written(converter)
    assert document["title"] == "Another Mod"
    assert document["packages"][0]["status"] == "optional"
    assert document["packages"][0]["dependencies"] == [
        {"id": "FSO", "version": ">=24.2.0"},
        {"id": "MVPS", "version": "~4.6.0"},
        {"id": "FSPort", "version": None},
    ]
    write(converter, {"mods": [{**document, "version": 7}]})
    expect(converter.get_by_label("Version")).to_have_attribute("aria-invalid", "true")
    expect(converter.locator("#mod-version-problem")).to_have_text("must be text")
    converter.get_by_label("Version").fill("7.0.0")
    assert written(converter)["mods"][0]["version"] == "7.0.0"
    expect(converter.get_by_label("Version")).to_have_attribute("aria-invalid", "false")


@pytest.mark.parametrize(
    "document", ["[]", "5", '{"packages": 3}', '{"packages": [null, {"files": [null, [["x"], {}]]}]}']
)
def test_no_document_makes_the_form_fail(converter: Page, document: str) -> None:
    write(converter, document)  # the fixture `page` fails when a script does
    expect(problems(converter)).not_to_have_count(0)


def test_what_is_written_outlives_a_reload_and_can_be_thrown_away(converter: Page) -> None:
    write(converter, a_document(LINK))
    converter.reload()
    assert written(converter) == a_document(LINK)
    converter.get_by_role("button", name="Start over").click()
    expect(converter.locator("#data")).to_have_value("")
    expect(converter.locator("#form")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_jumps_when_what_is_written_is_loaded_anew(converter: Page, width: int) -> None:
    converter.set_viewport_size({"width": width, "height": 1200})
    write(converter, a_document(LINK, packages=[{"name": name, "files": []} for name in ("Core", "Media")]))
    expect(converter.get_by_role("group")).to_have_count(2)
    height = converter.locator("#form").evaluate("(form) => form.offsetHeight")
    converter.add_init_script(JUMPS)
    converter.reload()
    expect(converter.get_by_label("Title")).to_have_value("My Mod")
    converter.wait_for_timeout(100)
    assert converter.evaluate("window.jumps") < 0.01
    assert converter.locator("#form").evaluate("(form) => form.offsetHeight") == height
    converter.get_by_role("button", name="Start over").click()
    expect(converter.locator("#form")).to_be_hidden()


def test_what_is_said_of_an_archive_stands_beside_it(signed_in: Page) -> None:
    drop(signed_in, ("mod.exe", b"MZ"), ("empty.7z", b""))
    for row in signed_in.locator("#uploads li").all():
        around, said = row.bounding_box(), row.locator(".said").bounding_box()
        assert around
        assert said
        assert around["y"] <= said["y"]
        assert said["y"] + said["height"] <= around["y"] + around["height"]
    button = signed_in.get_by_role("button", name="Begin with an example").bounding_box()
    assert button
    assert button["height"] < 50


def test_a_document_is_drafted_from_archives_completed_and_converted(
    web: Checkout, tickets: Tickets, worker: None, converter: Page, tmp_path: Path, shoot: Shoot
) -> None:
    core = packed(tmp_path, "shiny_mod-1.2-core.7z", {**archives.SAMPLE, "root.vp": b"VPVP"})
    data = packed(tmp_path, "shiny_mod-1.2-data.7z", DATA)
    drop(converter, core, data)
    expect(converter.locator("#uploads")).to_contain_text("waiting")
    give_key(converter)
    rows = converter.locator("#uploads li")
    expect(rows.nth(0)).to_contain_text(f"{len(archives.SAMPLE) + 1} files · mod.ini · root.vp", timeout=30_000)
    expect(rows.nth(1)).to_contain_text("2 files", timeout=30_000)
    document = written(converter)
    assert (document["id"], document["title"], document["version"]) == ("shiny_mod", "Shiny Mod", "1.2.0")
    assert [one["name"] for one in document["packages"]] == ["Core", "Data"]
    assert [one["status"] for one in document["packages"]] == ["required", "recommended"]
    assert [one["files"][0].get("dest") for one in document["packages"]] == [None, "data"]
    converter.get_by_label("Title").fill("Shiny")
    shoot("converter-draft")
    converter.get_by_role("button", name="Convert").click()
    converter.wait_for_url("**/watch/*")
    expect(converter.locator("#live")).to_contain_text("was inspected before", timeout=30_000)
    [ticket] = tickets.all()
    outcome = web.outcome(ticket.number, ticket.token)
    places = {
        file["filename"] for one in json.loads(outcome["json"])["mods"][0]["packages"] for file in one["filelist"]
    }
    assert {"mod.ini", "root.vp", "data/maps/ship.dds"} <= places


def test_a_build_of_the_engine_is_recognised(worker: None, signed_in: Page, tmp_path: Path) -> None:
    drop(signed_in, packed(tmp_path, "fs2_open-24.2.0.zip", BUILD))
    expect(signed_in.get_by_label("Type")).to_have_value("engine", timeout=30_000)
    [package] = written(signed_in)["packages"]
    assert package["environment"] == "windows && x86_64"
    assert {one["file"]: one["label"] for one in package["executables"]} == {
        "fs2_open_24_2_0_x64.exe": None,
        "fs2_open_24_2_0_x64-FASTDBG.exe": "Fast Debug",
    }


def test_what_cannot_be_read_is_told_beside_the_archive(worker: None, signed_in: Page) -> None:
    drop(signed_in, ("broken.7z", b"7z\xbc\xaf\x27\x1c" + b"nonsense" * 100))
    expect(signed_in.locator("#uploads .failed")).to_contain_text("broken.7z", timeout=30_000)


def test_a_new_upload_takes_the_place_of_the_old_link(signed_in: Page, tmp_path: Path) -> None:
    old = a_document(LINK)
    old["packages"][0]["files"][0]["md5sum"] = "0" * 32
    write(signed_in, old)
    drop(signed_in, packed(tmp_path, "a.7z", DATA))
    expect(signed_in.locator("#uploads")).to_contain_text("uploaded")
    [file] = written(signed_in)["packages"][0]["files"]
    assert file["urls"][0].startswith("http://127.0.0.1:")
    assert "md5sum" not in file


def test_an_archive_waits_until_the_document_can_take_it(signed_in: Page, tmp_path: Path) -> None:
    write(signed_in, '{"id": "my_mod", "packages": [')
    drop(signed_in, packed(tmp_path, "core.7z", DATA))
    expect(signed_in.locator("#uploads")).to_contain_text("uploaded, but the document cannot take it as it is")
    write(signed_in, '{"id": "my_mod", "packages": []}')
    expect(signed_in.locator("#uploads")).not_to_contain_text("cannot take it")
    [package] = written(signed_in)["packages"]
    assert package["files"][0]["filename"] == "core.7z"


def test_an_archive_that_waits_for_the_one_before_it_is_not_said_to_be_barred(signed_in: Page, tmp_path: Path) -> None:
    held: list[Route] = []
    signed_in.route("**/drop/**", lambda route: held.append(route), times=1)
    drop(signed_in, packed(tmp_path, "my-core.7z", DATA), packed(tmp_path, "my-data.7z", BUILD))
    rows = signed_in.locator("#uploads li")
    expect(rows.nth(1)).to_contain_text("uploaded")
    expect(rows.nth(1)).not_to_contain_text("cannot take it")
    held[0].continue_()
    expect(rows.nth(0)).to_contain_text("uploaded")
    assert [one["name"] for one in written(signed_in)["packages"]] == ["Core", "Data"]


def test_an_upload_that_breaks_off_is_tried_again(signed_in: Page, tmp_path: Path) -> None:
    signed_in.route("**/drop/**", lambda route: route.abort(), times=1)
    drop(signed_in, packed(tmp_path, "core.7z", DATA))
    row = signed_in.locator("#uploads li")
    expect(row).to_contain_text("The upload broke off.")
    expect(signed_in.locator("#convert")).to_be_disabled()
    row.get_by_role("button", name="Retry core.7z").click()
    expect(row).to_contain_text("uploaded")
    row.get_by_role("button", name="Remove core.7z").click()
    expect(row).to_have_count(0)
    assert written(signed_in)["packages"] == []


def test_what_cannot_be_uploaded_is_told_at_once(signed_in: Page) -> None:
    drop(signed_in, ("mod.exe", b"MZ"), ("empty.7z", b""))
    rows = signed_in.locator("#uploads li")
    expect(rows.nth(0)).to_contain_text("Only 7z, bz2, gz, rar, xz, zip can be uploaded.")
    expect(rows.nth(1)).to_contain_text("This file is empty.")
    expect(rows.get_by_role("button")).to_have_text(["Remove", "Remove"])
    expect(signed_in.locator("#data")).to_have_value("")


def test_the_page_is_worked_by_keyboard_alone(tickets: Tickets, signed_in: Page) -> None:
    signed_in.locator("#files").focus()
    for _ in range(2):
        signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_role("button", name="Begin with an example")).to_be_focused()
    signed_in.keyboard.press("Enter")
    expect(signed_in.locator("#convert")).to_be_enabled()
    signed_in.locator("#data").focus()
    signed_in.keyboard.press("Tab")
    expect(signed_in.locator("#convert")).to_be_focused()
    signed_in.keyboard.press("Enter")
    signed_in.wait_for_url("**/watch/*")
    expect(signed_in.get_by_role("main")).to_be_focused()


def test_pictures_of_the_page(converter: Page, shoot: Shoot) -> None:
    wrong = {"name": "Core", "status": "maybe", "files": [{"filename": 3, "urls": []}]}
    write(converter, a_document(LINK, packages=[wrong]))
    shoot("converter-problems")
