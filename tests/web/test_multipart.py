"""Uploads, in whatever pieces and with whatever around them."""

import hashlib
import http.client
import itertools
import json
import time
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.checkouts import KEY, Checkout, wait_until

BOUNDARY = "b-u"

# What looks like the end of the file, almost.
almost = st.sampled_from([b"\r\n", b"\r\n--", b"\r\n--b-", b"--b-u", b"\r\n--b-v", b"\r", b"\n", b"-", b"\x00"])
MAGIC = b"7z\xbc\xaf\x27\x1c"
contents = st.lists(almost | st.binary(max_size=20), max_size=12).map(lambda parts: MAGIC + b"".join(parts))
labels = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters='"\\\x7f'), max_size=20)


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    called = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{called}\r\n\r\n'.encode() + content + b"\r\n"


def drop(web: Checkout, pieces: list[bytes]) -> tuple[int, Any]:
    now = int(time.time())
    token = hashlib.sha256(f"{KEY}{now}".encode()).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    try:
        connection.putrequest("POST", f"/drop/{now}/{token}/0")
        connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        connection.putheader("Content-Length", str(sum(map(len, pieces))))
        connection.endheaders()
        for piece in pieces:
            connection.send(piece)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if answer.getheader("Content-Type") == "application/json" else text
    finally:
        connection.close()


def pieces_of(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


@given(
    contents,
    labels,
    st.lists(st.tuples(st.sampled_from(["note", "files", "x"]), contents), max_size=2),
    st.lists(st.integers(0, 2000), max_size=4),
)
def test_what_is_kept_is_what_was_sent(
    web: Checkout, content: bytes, label: str, others: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    end = f"\r\n--{BOUNDARY}".encode()
    assume(not any(end in b"\r\n" + one + b"\r\n" for one in (content, *(other for _, other in others))))
    parts = [part(name, other) for name, other in others]
    body = b"".join([*parts, part("file", content, f"a{label}.7z"), *parts]) + f"--{BOUNDARY}--\r\n".encode()
    status, answer = drop(web, pieces_of(body, cuts))
    digest = hashlib.sha256(content).hexdigest()
    assert (status, answer["error"]) == (200, False)
    assert (answer["sha256"], answer["size"], answer["filename"]) == (digest, len(content), f"a{label}.7z")
    assert (web.folder / "var" / "mirror" / "uploads" / digest).read_bytes() == content


words = st.sampled_from(
    [f"--{BOUNDARY}", "--", "\r\n", "Content-Disposition", ": ", "form-data; ", 'name="file"', '; filename="a.7z"']
)
noise = st.lists(words.map(str.encode) | st.binary(max_size=10), max_size=20).map(b"".join)


@given(noise | st.builds(bytes.__add__, st.just(part("file", b"x", "a.7z")), noise))
@example(part("file", b"x", "a.7z"))
@example(part("file", b"x", "../../a.7z") + f"--{BOUNDARY}--\r\n".encode())
def test_what_is_not_whole_leaves_nothing(web: Checkout, body: bytes) -> None:
    """A body is taken as a whole, or is refused and forgotten; never is it a fault of ours."""
    kept = web.folder / "var" / "mirror" / "uploads"
    before = set(kept.iterdir()) if kept.exists() else set()
    status, answer = drop(web, [body])
    assert status in (200, 403, 413), answer
    took = status == 200 and not answer["error"]
    after = set(kept.iterdir()) if kept.exists() else set()
    assert after - before <= ({kept / answer["sha256"]} if took else set())
    work = web.folder / "var" / "mirror" / ".work"
    wait_until(lambda: not work.exists() or not list(work.iterdir()), "the work folder is empty")
