"""Parts of files: whatever a client asks for, it gets that part, the whole, or a refusal."""

import re
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import bottle
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knossosd.settings import Settings
from knossosd.web import mirror

CONTENT = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bottle.Bottle]:
    folder = tmp_path_factory.mktemp("mirror")
    Path(folder, "a.7z").write_bytes(CONTENT)
    app = bottle.Bottle()
    mirror.install(app, Settings(MIRROR_PATH=folder, MIRROR_URL="http://host.example/mirror"))
    return app


def get(app: bottle.Bottle, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/mirror/a.7z", **named}
    started: list[Any] = []
    body = app.wsgi(environ, lambda *arguments: started.append(arguments))
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    status, answered = started[-1][:2]
    return int(status.split(" ")[0]), content, {name.lower(): value for name, value in answered}


places = st.integers(0, len(CONTENT) + 3).map(str) | st.sampled_from(
    ["", "0", "00", "-1", "+1", "1_0", " 1", "x", "\xb2", "9" * 5000]
)
spans = st.builds("{}-{}".format, places, places)
ranges = st.builds(
    "{}{}".format,
    st.sampled_from(["bytes=", "bytes = ", "bytes", "items=", ""]),
    st.lists(spans, max_size=3).map(",".join),
)
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=20)


@given(ranges | texts)
@example("bytes=" + "9" * 5000 + "-")
@example("bytes=-" + "9" * 5000)
@example("bytes=-0")
def test_a_range_is_a_part_the_whole_or_nothing(app: bottle.Bottle, wanted: str) -> None:
    status, content, headers = get(app, range=wanted)
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/1024", headers["content-range"])
        assert match
        start, end = int(match[1]), int(match[2])
        assert content == CONTENT[start : end + 1]
        assert len(content) == end + 1 - start == int(headers["content-length"])
    else:
        assert status in (200, 416)
        assert status == 416 or content == CONTENT


@given(st.integers(0, 1023), st.integers(0, 2000))
def test_a_good_range_is_served(app: bottle.Bottle, start: int, length: int) -> None:
    assert get(app, range=f"bytes={start}-{start + length}")[:2] == (206, CONTENT[start : start + length + 1])
    assert get(app, range=f"bytes={start}-")[:2] == (206, CONTENT[start:])
    assert get(app, range=f"bytes=-{start + 1}")[:2] == (206, CONTENT[-start - 1 :])


@given(
    texts,
    texts,
    texts | st.integers(-(2**40), 2**40).map(lambda seconds: f"{seconds}") | st.integers(0, 2**33).map(formatdate),
)
@example("", "", "Fri, 31 Dec 9999 23:59:59 -2359")
@example("", "", "Mon, 99 Jan 99999999999 00:00:00")
def test_no_condition_gives_anything_but_the_file(app: bottle.Bottle, if_range: str, etag: str, since: str) -> None:
    conditions = {"if_none_match": etag, "if_modified_since": since}
    status, content, _ = get(app, range="bytes=5-9", if_range=if_range, **conditions)
    assert (status, content) in ((200, CONTENT), (304, b""))
