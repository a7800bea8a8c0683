"""The previews of uploads: who gets them, and who makes them."""

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from knossosd.conversion.cache import Cache
from knossosd.tickets.store import Tickets
from tests.checkouts import KEY, Checkout
from tests.web.test_api import request
from tests.web.test_drop import drop, multipart

BEARER = {"Authorization": f"Bearer {KEY}"}
PREVIEW = {
    "files": 1,
    "size": 5,
    "top": ["mod.ini"],
    "mod_inis": ["mod.ini"],
    "vps": [],
    "programs": [],
    "warnings": [],
}


@pytest.fixture
def sha256(web: Checkout, tickets: Tickets) -> str:
    """An upload of which nothing is known."""
    return str(drop(web, multipart(b"7z\xbc\xaf\x27\x1c an archive"))[1]["sha256"])


@pytest.fixture
def cache(web: Checkout, sha256: str) -> Cache:
    """What the web process and the workers remember."""
    cache = Cache(Path(web.folder, "var", "mirror", ".cache"))
    cache.forget("previews", sha256)
    return cache


def ask(web: Checkout, method: str, sha256: str, filename: str = "core.7z", **headers: str) -> tuple[int, Any]:
    body = urllib.parse.urlencode({"filename": filename}) if method == "POST" else None
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text, _ = request(web, method, f"/api/uploads/{sha256}/preview", body, **{**kind, **BEARER, **headers})
    return status, json.loads(text) if text.startswith("{") else text


def queued(tickets: Tickets) -> list[Any]:
    messages = tickets.client.lrange("huey.redis.knossosdconvert", 0, -1)
    return [json.loads(message)["args"] for message in messages]


def test_a_worker_is_asked_to_make_one(web: Checkout, tickets: Tickets, cache: Cache, sha256: str) -> None:
    assert ask(web, "GET", sha256) == (202, {"ready": False})
    assert queued(tickets) == []
    assert ask(web, "POST", sha256) == (202, {"ready": False})
    assert queued(tickets) == [[sha256, "core.7z"]]
    cache.remember("previews", sha256, PREVIEW)
    assert ask(web, "GET", sha256) == (200, {"ready": True, **PREVIEW})
    assert ask(web, "POST", sha256) == (200, {"ready": True, **PREVIEW})
    assert len(queued(tickets)) == 1


def test_after_an_error_whoever_asks_gets_another(web: Checkout, tickets: Tickets, cache: Cache, sha256: str) -> None:
    cache.remember("previews", sha256, {"error": {"code": "disk_full", "message": "Full."}})
    status, answer = ask(web, "GET", sha256)
    assert (status, answer["error"]["code"]) == (200, "disk_full")
    assert ask(web, "POST", sha256) == (202, {"ready": False})
    assert len(queued(tickets)) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_who_may_upload_gets_one(web: Checkout, tickets: Tickets, sha256: str, method: str) -> None:
    assert ask(web, method, sha256, Authorization="Bearer wrong") == (403, "Access denied")
    assert ask(web, method, sha256, Authorization="") == (403, "Access denied")
    assert queued(tickets) == []


@pytest.mark.parametrize("name", ["0" * 64, "core.7z", "%2e%2e", "A" * 64])
def test_of_what_is_no_upload_there_is_none(web: Checkout, tickets: Tickets, name: str) -> None:
    assert ask(web, "GET", name)[0] == 404
    assert ask(web, "POST", name)[0] == 404
    assert queued(tickets) == []


@pytest.mark.parametrize("filename", ["", "../core.7z", "a" * 200, "con.7z"])
def test_names_that_cannot_be_used_are_refused(web: Checkout, tickets: Tickets, sha256: str, filename: str) -> None:
    assert ask(web, "POST", sha256, filename)[0] == 400
    assert queued(tickets) == []
