"""The upload door."""

import hashlib
import hmac
import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.checkouts import KEY, Checkout, wait_until

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def nothing_is_left(web: Checkout) -> Iterator[None]:
    """Whatever an upload comes to, its temporary file is gone."""
    yield
    work = web.folder / "var" / "mirror" / ".work"
    wait_until(lambda: not work.exists() or not list(work.iterdir()), "the work folder is empty")


def old_token(t: int, key: str = KEY) -> str:
    return hashlib.sha256(f"{key}{t}".encode()).hexdigest()


def multipart(content: bytes, filename: str = "core.7z", field: str = "file") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


def drop(
    web: Checkout, body: bytes, t: int | None = None, token: str | None = None, kid: int = 0, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    t = int(time.time()) if t is None else t
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    try:
        sent = {"Content-Type": "multipart/form-data; boundary=b", **headers}
        connection.request("POST", f"/drop/{t}/{token or old_token(t)}/{kid}", body, sent)
        response = connection.getresponse()
        text = response.read().decode()
        answer = json.loads(text) if response.getheader("Content-Type") == "application/json" else text
        return response.status, answer, dict(response.getheaders())
    finally:
        connection.close()


def uploads(web: Checkout) -> set[str]:
    folder = web.folder / "var" / "mirror" / "uploads"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_an_upload_gets_its_link(web: Checkout) -> None:
    status, answer, headers = drop(web, multipart(CONTENT))
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (status, answer) == (
        200,
        {
            "error": False,
            "url": f"{web.url}/mirror/uploads/{digest}",
            "sha256": digest,
            "size": len(CONTENT),
            "filename": "core.7z",
        },
    )
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert (web.folder / "var" / "mirror" / "uploads" / digest).read_bytes() == CONTENT
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    connection.request("GET", f"/mirror/uploads/{digest}")
    assert connection.getresponse().read() == CONTENT
    connection.close()


def test_a_known_content_may_be_uploaded_by_many_at_once(web: Checkout) -> None:
    """What is stored is read again before it is shared, in whichever thread is free."""
    for _ in range(2):
        with ThreadPoolExecutor(8) as crowd:
            answers = list(crowd.map(lambda _: drop(web, multipart(CONTENT)), range(8)))
        assert [(status, answer["sha256"]) for status, answer, _ in answers] == [
            (200, hashlib.sha256(CONTENT).hexdigest())
        ] * 8


def test_browsers_may_ask_first(web: Checkout) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    connection.request("OPTIONS", "/drop/1/x/0")
    response = connection.getresponse()
    headers = dict(response.getheaders())
    connection.close()
    assert response.status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert headers["Access-Control-Max-Age"] == "86400"


@pytest.mark.parametrize("change", [{"token": "0" * 64}, {"kid": 1}, {"token": "-"}])
def test_without_permission_nothing_is_taken(web: Checkout, change: dict[str, Any]) -> None:
    before = uploads(web)
    status, answer, _ = drop(web, multipart(b"denied"), **change)
    assert (status, answer) == (403, "Access denied")
    assert uploads(web) == before


def test_a_permission_lasts_half_an_hour(web: Checkout) -> None:
    now = int(time.time())
    status, answer, _ = drop(web, multipart(CONTENT), t=now - 1801)
    assert (status, answer) == (200, {"error": True, "message": "You took too long to upload!"})
    assert drop(web, multipart(CONTENT), t=now - 1700)[1]["error"] is False


@pytest.mark.parametrize("filename", ["core.exe", "core", "7z", "core.7z.exe", ""])
def test_only_archives_are_taken(web: Checkout, filename: str) -> None:
    before = uploads(web)
    status, answer, _ = drop(web, multipart(b"x" * 100, filename))
    assert (status, answer) == (200, {"error": True, "message": "Invalid filename!"})
    assert uploads(web) == before


def test_a_body_without_a_file_is_denied(web: Checkout) -> None:
    for body in (multipart(b"x", field="other"), b"--b--\r\n", b"nonsense", b""):
        assert drop(web, body)[:2] == (403, "Access denied")


def test_other_fields_do_not_matter(web: Checkout) -> None:
    other = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    assert drop(web, other + multipart(b"with a note"))[1]["size"] == 11
    behind = multipart(b"with a note").removesuffix(b"--b--\r\n") + other + b"--b--\r\n"
    assert drop(web, behind)[1]["sha256"] == hashlib.sha256(b"with a note").hexdigest()


def bound(t: int, filename: str, size: int, key: str = KEY) -> str:
    mac = hmac.new(key.encode(), f"{t}:{filename}:{size}".encode(), hashlib.sha256).hexdigest()
    return f"Knossos {size}:{mac}"


def test_a_bound_token_is_good_for_its_file_only(web: Checkout) -> None:
    now = int(time.time())
    token = {"t": now, "token": "-", "Authorization": bound(now, "core.7z", 5)}
    assert drop(web, multipart(b"12345"), **token)[1]["size"] == 5
    assert drop(web, multipart(b"1234"), **token)[:2] == (403, "Access denied")
    assert drop(web, multipart(b"123456"), **token)[0] == 413
    assert drop(web, multipart(b"12345", "other.7z"), **token)[:2] == (403, "Access denied")
    for odd in ("Knossos " + "9" * 5000 + ":x", "Knossos 5:\xe9", "Basic \xe9", "Bearer \xe9"):
        assert drop(web, multipart(b"12345"), **{**token, "Authorization": odd})[:2] == (403, "Access denied")
    token["Authorization"] = bound(now, "core.7z", 5, key="wrong")
    assert drop(web, multipart(b"12345"), **token)[:2] == (403, "Access denied")


def raw(web: Checkout, head: str, body: bytes = b"") -> bytes:
    now = int(time.time())
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        start = f"POST /drop/{now}/{old_token(now)}/0 HTTP/1.1\r\nHost: x\r\n"
        connection.sendall((start + head + "\r\n").encode() + body)
        return connection.makefile("rb").read()


def test_a_file_that_is_too_large_is_refused_before_it_is_read(web: Checkout) -> None:
    kind = "Content-Type: multipart/form-data; boundary=b\r\n"
    assert raw(web, kind + "Content-Length: 4000000000\r\n", b"x" * 100).startswith(b"HTTP/1.1 413 ")
    assert raw(web, kind + f"Content-Length: {10**15}\r\n").startswith(b"HTTP/1.1 413 ")


def test_an_upload_without_a_length_is_refused(web: Checkout) -> None:
    head = "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n"
    assert raw(web, head, b"0\r\n\r\n").startswith(b"HTTP/1.1 411 ")


def test_an_upload_that_breaks_off_leaves_nothing(web: Checkout) -> None:
    before = uploads(web)
    now = int(time.time())
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = f"POST /drop/{now}/{old_token(now)}/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        connection.sendall(head.encode() + multipart(bytes(500_000))[:400_000])
    assert uploads(web) == before
