"""The pages, and their files: found under an edition, kept by browsers, compressed."""

import gzip
import html
import re
import urllib.error
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import pytest

from knossosd.repo.document import json_schema
from knossosd.web.assets import OURS
from tests.checkouts import Checkout

Answer = tuple[int, bytes, HTTPMessage]


def get(web: Checkout, path: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(web.url + path, headers=named), timeout=10) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


@pytest.fixture
def linked(web: Checkout) -> list[str]:
    """The files that a page names."""
    return re.findall(r'"(/static/[^"]+)"', get(web, "/converter")[1].decode())


def test_what_a_page_names_is_kept_for_good(web: Checkout, linked: list[str]) -> None:
    assert {link.rpartition("/")[2] for link in linked} >= {
        "bootstrap.min.css",
        "knossosd.css",
        "submit.js",
        "early.js",
    }
    for link in linked:
        status, content, headers = get(web, link)
        assert status == 200
        assert content
        assert "immutable" in headers["Cache-Control"]


def test_modules_of_one_edition_find_each_other(web: Checkout, linked: list[str]) -> None:
    [module] = [link for link in linked if link.endswith("/submit.js")]
    imported = re.findall(r'from "\./([\w.-]+)"', get(web, module)[1].decode())
    assert imported
    for name in imported:
        assert get(web, f"{module.rpartition('/')[0]}/{name}")[0] == 200


@pytest.mark.parametrize("module", sorted(OURS.glob("*.js")), ids=lambda path: path.name)
def test_a_module_finds_what_it_imports(module: Path) -> None:
    text = module.read_text()
    for source in re.findall(r'(?:from|import) ?\(?"\./([^"]+)"', text):
        assert (OURS / source).is_file()
    for names, source in re.findall(r'^import \{([^}]+)\} from "\./([^"]+)"', text, re.MULTILINE):
        exported = re.findall(
            r"^export (?:async )?(?:class|const|function\*?) (\w+)", (OURS / source).read_text(), re.MULTILINE
        )
        assert {name.split(" as ")[0].strip() for name in names.split(",")} <= set(exported)


@pytest.mark.parametrize("path", ["/static/converter.js", "/static/0123456789ab/converter.js"])
def test_what_has_no_edition_of_ours_is_asked_for_again(web: Checkout, path: str) -> None:
    _, _, headers = get(web, path)
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Access-Control-Allow-Origin"] == "*"
    status, content, _ = get(web, path, If_None_Match=headers["ETag"])
    assert (status, content) == (304, b"")
    assert get(web, path, If_None_Match='W/"other"')[0] == 200


def test_files_are_sent_compressed_to_who_takes_it(web: Checkout) -> None:
    plain = get(web, "/static/bootstrap.min.css")
    packed = get(web, "/static/bootstrap.min.css", Accept_Encoding="br, gzip")
    assert packed[2]["Content-Encoding"] == "gzip"
    assert plain[2]["Content-Encoding"] is None
    assert gzip.decompress(packed[1]) == plain[1]
    assert len(packed[1]) < len(plain[1]) / 4


def test_every_field_of_a_document_is_described(web: Checkout) -> None:
    page = get(web, "/docs/document")[1].decode()
    for part in json_schema()["$defs"].values():
        for name, field in part.get("properties", {}).items():
            assert f'id="{part["title"]}.{name}"' in page
            assert html.escape(field["description"]) in page.replace("&#039;", "&#x27;")
