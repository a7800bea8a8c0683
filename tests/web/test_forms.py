"""What clients submit: read as it was meant, or refused with a reason."""

import base64
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knossosd.keyring import Keyring, Scope
from knossosd.settings import KIB
from knossosd.tickets.events import BEGINNING
from knossosd.web.access import key_of, offered_key
from knossosd.web.forms import MAX_FIELDS, FormError, FormTooLarge, read_form, whole_number
from knossosd.web.live import _after
from tests.checkouts import KEY

LIMIT = 64 * KIB


def submitted(body: bytes, kind: str, length: str | None = None) -> Any:
    environ = {"CONTENT_LENGTH": str(len(body)) if length is None else length, "CONTENT_TYPE": kind}
    return read_form({**environ, "wsgi.input": io.BytesIO(body)}, LIMIT)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=10)
fields = st.dictionaries(names, texts, max_size=6)


def in_parts(fields: dict[str, str], boundary: str) -> bytes:
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{parts}--{boundary}--\r\n".encode()


@given(fields)
@example({"data": "--b--\r\n"})
def test_a_form_means_the_same_however_it_is_written(fields: dict[str, str]) -> None:
    assert submitted(urlencode(fields).encode(), "application/x-www-form-urlencoded") == fields
    assert submitted(json.dumps(fields).encode(), "application/json; charset=utf-8") == fields
    boundary = "a-boundary-that-is-in-no-text"
    if fields:
        assert submitted(in_parts(fields, boundary), f'multipart/form-data; boundary="{boundary}"') == fields


kinds = st.sampled_from(
    [
        "application/json",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "",
        "x",
    ]
)
words = st.sampled_from(
    [b"Content-Disposition: form-data; name=", b'"a"', b'; filename="x"', b"Content-Length: 9", b"9" * 5000]
)
marks = st.sampled_from([b"--b", b"--b--", b"\r\n", b":", b"=", b"&", b"%", b"%ff", b"[", b"{", b'"', b"\xff"])
bodies = st.lists(words | marks | st.binary(max_size=8), max_size=20).map(b"".join)


@given(bodies, kinds)
@example(b"[" * 60_000, "application/json")
@example(b'{"a": ' + b"9" * 5000 + b"}", "application/json")
@example(b"&".join([b"a=b"] * (MAX_FIELDS + 1)), "")
@example(in_parts({chr(97 + number): "x" for number in range(MAX_FIELDS + 1)}, "b"), "multipart/form-data; boundary=b")
def test_every_body_is_a_form_or_is_told_why_not(body: bytes, kind: str) -> None:
    try:
        form = submitted(body, kind)
    except FormError as error:
        assert str(error)
        return
    assert isinstance(form, dict)
    assert len(form) <= max(MAX_FIELDS, len(body))


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 5000, "-1", "+5", "5_0", "\xb2", "0x5", "5 "])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(FormTooLarge):
        submitted(b"a=b", "", length)


@given(st.integers(0, 10**19))
def test_a_whole_number_is_read(number: int) -> None:
    assert whole_number(str(number)) == number


@given(st.text(max_size=30))
@example("9" * 5000)
@example("٣")
def test_nothing_else_is_a_whole_number(text: str) -> None:
    number = whole_number(text)
    assert number is None or str(number) == (text.lstrip("0") or "0")


latin = st.text(st.characters(max_codepoint=255), max_size=30)


@given(latin | st.tuples(st.sampled_from(["Basic ", "Bearer ", "basic", "BASIC  "]), latin).map("".join))
@example("Basic \xe9")
@example("Basic =")
def test_no_authorization_but_the_key_opens_anything(authorization: str) -> None:
    keyring = Keyring([KEY], Path("/nonexistent/keys.json"))
    assert key_of({"HTTP_AUTHORIZATION": authorization}, keyring, Scope.UPLOAD) is None


@given(texts, texts.filter(lambda name: ":" not in name))
def test_a_key_is_found_in_either_scheme(key: str, name: str) -> None:
    basic = base64.b64encode(f"{name}:{key}".encode()).decode()
    assert offered_key({"HTTP_AUTHORIZATION": f"Basic {basic}"}) == key
    assert offered_key({"HTTP_AUTHORIZATION": f"Bearer {key}"}) == key.strip()


@given(st.text(max_size=40) | st.from_regex(r"\A-?\d{1,25}-?\d{0,25}\Z"))
@example("9" * 5000)
@example("1_0-0")
def test_every_place_in_the_events_is_one_that_redis_reads(place: str) -> None:
    milliseconds, _, number = _after(place).partition("-")
    assert _after(place) == BEGINNING or (milliseconds.isdecimal() and number.isdecimal())
    assert int(milliseconds) < 2**63
    assert int(number) < 2**63
