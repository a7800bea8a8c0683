"""What hosts write into headers and pages is read as what it means, or passed over; nothing of it breaks us."""

import hashlib
from collections.abc import Iterator
from email.utils import formatdate

import hypothesis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict, HTTPResponse

from knossosd.conversion.busy import asked_pause
from knossosd.conversion.captcha import find_captcha
from knossosd.conversion.known import Validators
from knossosd.conversion.transfer import HTML, MAX_PAUSE
from knossosd.faults import InputFault, RemoteFault
from tests import hosts
from tests.conversion.test_download import CONTENT, Fetch
from tests.hosts import Host

LONG = "9" * 5000
"""Digits that Python refuses to make a number of."""

texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
digits = st.from_regex(r"\A[0-9]{1,30}\Z")
dates = st.builds(formatdate, st.integers(0, 2**33), st.booleans(), st.booleans())
pieces = st.sampled_from(["Mon", "Jan", "2026", "1", "25:99:61", "GMT", "-0000", "+9999", "99999999999", ",", " ", "-"])
headers = texts | digits | dates | st.lists(pieces, max_size=8).map(" ".join)


def an_answer(**named: str) -> HTTPResponse:
    return HTTPResponse(headers=HTTPHeaderDict({name.replace("_", "-"): value for name, value in named.items()}))


@given(headers)
@example(LONG)
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_no_host_makes_us_wait_for_longer_than_we_want(after: str) -> None:
    assert 0.0 <= asked_pause(an_answer(Retry_After=after), MAX_PAUSE) <= MAX_PAUSE


@given(st.integers(0, 10**6))
def test_seconds_to_wait_are_read(seconds: int) -> None:
    assert asked_pause(an_answer(Retry_After=str(seconds)), MAX_PAUSE) == min(seconds, MAX_PAUSE)


@given(headers, headers, headers)
def test_only_what_was_said_validates(etag: str, changed: str, now: str) -> None:
    validators = Validators.of(an_answer(ETag=etag, Last_Modified=changed, Date=now), "http://host.example/")
    assert validators.etag in (None, etag)
    assert validators.last_modified in (None, changed)
    assert not (validators.etag and validators.etag.startswith("W/"))
    assert None in (validators.etag, validators.last_modified)


@given(st.integers(0, 2**33), st.integers(-(10**6), 10**6))
def test_a_date_validates_when_it_was_settled(now: int, age: int) -> None:
    said = {"Date": formatdate(now, usegmt=True), "Last_Modified": formatdate(max(now - age, 0), usegmt=True)}
    validators = Validators.of(an_answer(**said), "http://host.example/")
    assert (validators.last_modified is not None) == (now - max(now - age, 0) >= 60)


tags = st.sampled_from([b"<form action='x'>", b"<form action='//['>", b"</form>", b"<img src=c alt=captcha>",
                        b"<input name=a>", b"<input type=hidden name=b value=1>", b"<!", b"<![", b"<![x[", b"]]>",
                        b"<?", b"<!--", b"-->", b"<!doctype [<!x", b"&#xffffff;", b"<script>", b"\xff"])  # fmt: skip


@given(st.lists(tags | st.binary(max_size=10), max_size=20).map(b"".join))
@example(b"<![x[")
def test_no_page_breaks_the_search_for_a_captcha(page: bytes) -> None:
    try:
        form = find_captcha(page, "http://host.example/a")
    except InputFault:
        return
    assert form is None or (form.answer_field and form.image.startswith("http://host.example/"))


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A host, and nobody who waits before a resume."""
    with hosts.running_host() as host, pytest.MonkeyPatch.context() as patch:
        patch.setattr("knossosd.conversion.transfer.RESUME_PAUSE", 0.0)
        yield host


comments = st.lists(st.sampled_from([b"<!-- x -->", b"<!---->", b" ", b"<?xml ?>"]), max_size=200).map(b"".join)


@given(comments, st.binary(max_size=5))
@example(b"<!---->" * 30_000, b"x")  # there are more ways to read it than atoms in the world
@example(b"<!--" * 30_000, b"")
def test_a_page_is_told_from_an_archive_whatever_stands_before_it(before: bytes, content: bytes) -> None:
    assert HTML.match(before + content) is None
    if not before.strip().startswith((b"<?xml", b"<!--")) or b"<?xml" not in before.strip()[5:]:
        assert (HTML.match(before + b"<html>") is not None) == (not before.endswith(b"<!--"))


lengths = texts | digits | st.sampled_from(["", "0", "4", "5", "6", "-5", "5, 5", "5,6", "+5", "0x5", "5_0", "\xb2"])


@given(lengths)
@example(LONG)
def test_a_length_is_kept_or_the_host_is_at_fault(
    host: Host, tmp_path_factory: pytest.TempPathFactory, length: str
) -> None:
    fetch = Fetch(tmp_path_factory.mktemp("fetch") / "a")
    link = host.link("/a.7z", hosts.says(200, b"12345", Content_Length=length, Connection="close"))
    try:
        download = fetch(link, attempts=1)
    except (InputFault, RemoteFault):
        return
    assert download.digest.size in (5, int(length) if length.isdecimal() and len(length) < 20 else 5)
    assert download.digest.sha256 == hashlib.sha256(b"12345"[: download.digest.size]).hexdigest()


ranges = st.builds("bytes {}-{}/{}".format, *[digits | st.sampled_from(["5000", "1024000", "*", "", LONG])] * 3)


@given(texts | ranges, st.sampled_from(["v1", "v2", None]))
@example(f"bytes 5000-{LONG}/{LONG}", "v1")
@example(f"bytes {LONG}-5/6", "v1")
def test_a_part_is_taken_only_when_it_is_the_missing_one(
    host: Host, tmp_path_factory: pytest.TempPathFactory, said: str, etag: str | None
) -> None:
    """Whatever a host says of the part it sends: what is published is what it has, or nothing."""
    fetch = Fetch(tmp_path_factory.mktemp("fetch") / "a")

    def lies(request: hosts.Request) -> None:
        more = {} if etag is None else {"ETag": f'"{etag}"'}
        request.answer(206, CONTENT[7000:], Content_Range=said, **more)

    link = host.link("/a.7z", hosts.one_after_the_other(hosts.drops(CONTENT, 5000), lies, hosts.serves(CONTENT)))
    download = fetch(link, attempts=3)
    assert download.digest.sha256 == hashlib.sha256(CONTENT).hexdigest()


words = st.sampled_from(
    [
        b'"v1"',
        b'W/"v1"',
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"\r\n ",
        b"\r\n\t",
        b"\r",
        b"\x0b",
        b"\x1c",
        b"\x85",
        b"\x00",
        b"\xff",
    ]
)
places = st.sampled_from(
    [b"a=b", b"; ", b":", b"/a.7z", b"//", b"http://[", b"http://", b"..", b"?x#y", b"5", b"bytes 5-9/10"]
)
said = st.lists(words | places | st.binary(max_size=4).filter(lambda data: b"\n" not in data), max_size=4).map(b"".join)
statuses = st.sampled_from(
    [b"200 OK", b"206 Part", b"301 Moved", b"304 Same", b"416 No", b"429 Later", b"999", b"200", b"100 Go on", b"-1 x"]
)
HEADERS = "ETag Last-Modified Location Set-Cookie Content-Encoding Transfer-Encoding Date Content-Range Retry-After X"
named = st.sampled_from(HEADERS.split()).map(str.encode)
PAGE = b"<html><form action='/a.7z' method=post><img src=c alt=captcha><input name=a></form>"


@hypothesis.settings(max_examples=hypothesis.settings().max_examples // 4)  # some are waited for
@given(
    statuses, st.lists(st.tuples(named, said), max_size=5), st.sampled_from([b"12345", PAGE, b"", b"\x1f\x8b\x08\x00"])
)
@example(b"200 OK", [(b"ETag", b'"a\r\n b"')], b"12345")
@example(b"200 OK", [(b"Set-Cookie", b"a=\x85\r\n b")], PAGE)
def test_no_answer_is_a_fault_of_ours(
    host: Host, tmp_path_factory: pytest.TempPathFactory, status: bytes, lines: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """What it says is sent back to it where that makes sense, and the second answer is a good one."""
    fetch = Fetch(tmp_path_factory.mktemp("fetch") / "a", answers=["x"])
    head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    raw = b"HTTP/1.1 " + status + b"\r\n" + head + b"Content-Length: 100\r\n\r\n" + body
    link = host.link("/a.7z", hosts.one_after_the_other(hosts.says_raw(raw), hosts.serves(CONTENT)))
    try:
        download = fetch(link, attempts=2)
    except (InputFault, RemoteFault) as fault:
        assert fault.finding.message
        return
    assert download.digest.sha256 == hashlib.sha256(fetch.target.read_bytes()).hexdigest()
