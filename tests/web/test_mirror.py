"""Serving the mirror: whole files, ranges, and nothing that is not meant for everybody."""

import http.client

import pytest

from tests.checkouts import Checkout

CONTENT = bytes(range(256)) * 2000
PATH = "/mirror/my%20mod/1.0.0/core.7z"


@pytest.fixture(autouse=True)
def published(web: Checkout) -> None:
    folder = web.folder / "var" / "mirror" / "my mod" / "1.0.0"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("core.7z", CONTENT), ("a.tar.gz", b"gz"), ("empty", b""), (".hidden", b"secret")):
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
    (web.folder / "var" / "mirror" / ".work").mkdir(exist_ok=True)
    link = folder / "outside"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")


def get(web: Checkout, path: str = PATH, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def test_a_file_is_served_whole(web: Checkout) -> None:
    status, body, headers = get(web)
    assert (status, body) == (200, CONTENT)
    assert headers["content-type"] == "application/x-7z-compressed"
    assert headers["content-length"] == str(len(CONTENT))
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"')


def test_a_head_request_has_no_body(web: Checkout) -> None:
    status, body, headers = get(web, method="HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(len(CONTENT)))


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("0-0", 0, 1),
        ("5-9", 5, 10),
        ("500000-", 500000, len(CONTENT)),
        ("-100", len(CONTENT) - 100, len(CONTENT)),
        ("0-99999999", 0, len(CONTENT)),
    ],
)
def test_a_part_is_served(web: Checkout, wanted: str, start: int, end: int) -> None:
    status, body, headers = get(web, Range=f"bytes={wanted}")
    assert (status, body) == (206, CONTENT[start:end])
    assert headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_part_that_is_not_there_is_refused(web: Checkout) -> None:
    assert get(web, Range="bytes=99999999-")[0] == 416


def test_several_parts_at_once_are_the_whole(web: Checkout) -> None:
    assert get(web, Range="bytes=0-5,10-15")[:2] == (200, CONTENT)


def test_a_part_is_served_only_of_what_did_not_change(web: Checkout) -> None:
    _, _, headers = get(web)
    for validator in (headers["etag"], headers["last-modified"]):
        assert get(web, Range="bytes=0-5", If_Range=validator)[0] == 206
    assert get(web, Range="bytes=0-5", If_Range='"other"')[:2] == (200, CONTENT)


def test_what_the_client_has_is_not_sent_again(web: Checkout) -> None:
    _, _, headers = get(web)
    assert get(web, If_None_Match=headers["etag"])[:2] == (304, b"")
    assert get(web, If_Modified_Since=headers["last-modified"])[:2] == (304, b"")
    assert get(web, If_None_Match='"other"')[0] == 200


def test_a_compressed_tar_is_not_called_encoded(web: Checkout) -> None:
    status, body, headers = get(web, "/mirror/my%20mod/1.0.0/a.tar.gz")
    assert (status, body, headers["content-type"]) == (200, b"gz", "application/gzip")
    assert "content-encoding" not in headers


def test_an_empty_file_is_served(web: Checkout) -> None:
    assert get(web, "/mirror/my%20mod/1.0.0/empty")[:2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/mirror/",
        "/mirror/my%20mod",
        "/mirror/" + "a" * 300,
        "/mirror/" + "a/" * 3000,
        "/mirror/my%20mod/1.0.0/missing",
        "/mirror/my%20mod/1.0.0/.hidden",
        "/mirror/.work/x",
        "/mirror/my%20mod/1.0.0/outside",
        "/mirror/../settings.py",
        "/mirror/%2e%2e/%2e%2e/conf/settings.py",
        "/mirror/%00",
        "/mirror//etc/passwd",
    ],
)
def test_nothing_else_is_served(web: Checkout, path: str) -> None:
    status, body, _ = get(web, path)
    assert status == 404
    assert b"root:" not in body
