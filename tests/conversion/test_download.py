"""Downloads from hosts that behave, and from hosts that do not."""

import gzip
import hashlib
import resource
import time
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from knossosd.conversion.cache import Cache
from knossosd.conversion.download import PAUSE, Download, Downloader
from knossosd.conversion.errand import Errand
from knossosd.conversion.guard import Guard
from knossosd.conversion.http import WebClient
from knossosd.conversion.known import KnownLinks
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.store import Store
from knossosd.conversion.transfer import MAX_PAUSE, TransferLimits, Wishes
from knossosd.faults import Code, Fault, InputFault, RemoteFault, ServerFault
from tests import hosts
from tests.hosts import Host

CONTENT = bytes(range(256)) * 4000
LONG_AGO = formatdate(1_600_000_000, usegmt=True)


class Fetch:
    """A download and everything that was told about it."""

    def __init__(self, target: Path, guard: Guard | None = None, answers: list[str | None] | None = None) -> None:
        self.target = target
        self.lines: list[str] = []
        self.told: list[tuple[int, int | None]] = []
        self.asked: list[str] = []
        self.slept: list[float] = []
        self.answers = answers or []
        self.guard = guard or Guard(["127.0.0.1"])
        self.leases = LocalLeases()
        self.known = KnownLinks(Cache(target.parent / "cache"), Store(target.parent / "store"))

    def __call__(self, *links: str, archive: bool = True, attempts: int = 2, calls_off: int | None = None) -> Download:
        client = WebClient(self.guard, connect_timeout=2, idle_timeout=0.4, max_redirects=3)
        limits = TransferLimits(max_size=3_000_000, min_speed=10_000, window=0.3, attempts=attempts)
        downloader = Downloader(
            client, limits, attempts, 20.0, self.leases, per_host=2, pause=self._pause, jitter=lambda: 0.0
        )
        errand = Errand()

        def advance(done: int, total: int | None) -> None:
            self.told.append((done, total))
            if len(self.told) == calls_off:
                errand.call_off()

        wishes = Wishes(
            errand=errand,
            expect_archive=archive,
            advance=advance,
            log=lambda level, line: self.lines.append(f"{level.value}: {line}"),
            ask=self._ask,
        )
        return downloader.fetch(links, self.target, wishes, self.known)

    def fails(self, *links: str, attempts: int = 1) -> Fault:
        with pytest.raises((InputFault, RemoteFault)) as caught:
            self(*links, attempts=attempts)
        assert not self.target.exists(), "the partial file was left"
        return caught.value

    def _pause(self, _errand: Errand, seconds: float) -> None:
        self.slept.append(seconds)

    def _ask(self, image: str) -> str | None:
        self.asked.append(image)
        return self.answers.pop(0)


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    monkeypatch.setattr("knossosd.conversion.download.PAUSE", 0.01)
    monkeypatch.setattr("knossosd.conversion.transfer.RESUME_PAUSE", 0.01)
    return Fetch(tmp_path / "archive")


def assert_right(fetch: Fetch, download: Download, content: bytes = CONTENT) -> None:
    assert fetch.target.read_bytes() == content
    digest = download.digest
    assert (digest.size, digest.md5, digest.sha256) == (
        len(content),
        hashlib.md5(content).hexdigest(),
        hashlib.sha256(content).hexdigest(),
    )


def test_a_file_is_written_and_hashed(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", hosts.serves(CONTENT))
    download = fetch(link)
    assert_right(fetch, download)
    assert download.url == link
    assert fetch.told[-1] == (len(CONTENT), len(CONTENT))
    assert host.requests[0].headers["Accept-Encoding"] == "identity"


def test_an_empty_file_is_a_file(host: Host, fetch: Fetch) -> None:
    assert_right(fetch, fetch(host.link("/a.7z", hosts.serves(b""))), b"")


def test_a_body_in_chunks_has_no_known_total(host: Host, fetch: Fetch) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    assert_right(fetch, fetch(host.link("/a.7z", hosts.says_raw(chunked))), b"hello world")
    assert fetch.told[-1] == (11, None)


def test_a_body_without_a_length_ends_with_the_connection(host: Host, fetch: Fetch) -> None:
    raw = b"HTTP/1.1 200 OK\r\n\r\nhello"
    assert_right(fetch, fetch(host.link("/a.7z", hosts.says_raw(raw))), b"hello")


def test_a_broken_transfer_is_resumed_where_it_broke(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", hosts.drops(CONTENT, 300_000))
    assert_right(fetch, fetch(link, attempts=1))
    ranges = [request.headers.get("Range") for request in host.requests]
    assert ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert {request.headers.get("If-Range") for request in host.requests[1:]} == {'"v1"'}


@pytest.mark.parametrize(
    "hiccup",
    [hosts.says(503, Retry_After="0"), hosts.says(429), hosts.says(500), hosts.says_raw(b"")],
    ids=["503", "429", "500", "breaks off"],
)
def test_a_host_that_has_a_hiccup_is_asked_for_the_rest_again(
    host: Host, fetch: Fetch, hiccup: hosts.Behaviour
) -> None:
    behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 800_000), hiccup, hosts.serves(CONTENT))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour)))
    ranges = [request.headers.get("Range") for request in host.requests]
    assert ranges == [None, "bytes=800000-", "bytes=800000-"]


def test_a_host_that_has_no_rest_to_give_is_not_asked_for_ever(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", hosts.one_after_the_other(hosts.drops(CONTENT, 800_000), hosts.says(500)))
    assert fetch.fails(link, attempts=3).finding.code is Code.DOWNLOAD_FAILED
    ranges = [request.headers.get("Range") for request in host.requests]
    assert ranges == [None, *["bytes=800000-"] * 3, None, None]


def test_a_host_that_is_busy_with_the_rest_is_given_the_time_that_it_asks_for(
    host: Host, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(Errand, "pause", lambda _errand, seconds: paused.append(seconds))
    answers = hosts.drops(CONTENT, 800_000), hosts.says(503, Retry_After="30"), hosts.serves(CONTENT)
    assert_right(fetch, fetch(host.link("/a.7z", hosts.one_after_the_other(*answers))))
    assert paused == [0.01, 30.0]


def test_content_that_changed_in_between_starts_over(host: Host, fetch: Fetch) -> None:
    new = b"new" + CONTENT
    behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 5000), hosts.serves(new, ETag='"v2"'))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour), attempts=1), new)


def test_a_host_that_ignores_ranges_starts_over(host: Host, fetch: Fetch) -> None:
    behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 5000), hosts.says(200, CONTENT, ETag='"v1"'))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour), attempts=1))


@pytest.mark.parametrize(
    "lie",
    [
        {"Content_Range": f"bytes 0-99/{len(CONTENT)}", "ETag": '"v1"'},
        {"Content_Range": f"bytes 5000-5099/{len(CONTENT) + 1}", "ETag": '"v1"'},
        {"Content_Range": f"bytes 5000-5099/{len(CONTENT)}", "ETag": '"v2"'},
        {"Content_Range": "nonsense"},
        {},
    ],
)
def test_a_wrong_range_starts_over(host: Host, fetch: Fetch, lie: dict[str, str]) -> None:
    behaviour = hosts.one_after_the_other(
        hosts.drops(CONTENT, 5000), hosts.says(206, b"x" * 100, **lie), hosts.serves(CONTENT)
    )
    assert_right(fetch, fetch(host.link("/a.7z", behaviour), attempts=1))


def test_a_range_that_is_refused_starts_over(host: Host, fetch: Fetch) -> None:
    behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 5000), hosts.says(416), hosts.serves(CONTENT))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour)))


def test_without_a_validator_nothing_is_resumed(host: Host, fetch: Fetch) -> None:
    for etag in (None, 'W/"weak"'):
        host.requests.clear()
        fetch.target.unlink(missing_ok=True)
        behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 5000, ETag=etag), hosts.serves(CONTENT))
        assert_right(fetch, fetch(host.link("/a.7z", behaviour)))
        assert [request.headers.get("Range") for request in host.requests] == [None, None]


def test_a_settled_date_says_that_the_rest_is_of_the_same_content(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", hosts.drops(CONTENT, 900_000, ETag=None, Last_Modified=LONG_AGO))
    assert_right(fetch, fetch(link, attempts=1))
    asked = [(request.headers.get("Range"), request.headers.get("If-Range")) for request in host.requests]
    assert asked == [(None, None), ("bytes=900000-", LONG_AGO)]


def test_a_file_that_changed_just_now_is_not_resumed_by_its_date(host: Host, fetch: Fetch) -> None:
    dated = {"ETag": None, "Last_Modified": formatdate(usegmt=True)}
    new = b"n" * len(CONTENT)
    behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 300_000, **dated), hosts.drops(new, len(new), **dated))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour)), new)


@pytest.mark.parametrize(
    "said",
    [
        {"ETag": None, "Last_Modified": formatdate(1_500_000_000, usegmt=True)},
        {"ETag": None, "Last_Modified": formatdate(usegmt=True)},
        {"ETag": '"v2"', "Last_Modified": LONG_AGO},
    ],
    ids=["older", "newer", "tagged"],
)
def test_a_rest_that_does_not_say_what_the_beginning_said_starts_over(
    host: Host, fetch: Fetch, said: dict[str, str | None]
) -> None:
    new = b"n" * len(CONTENT)
    behaviour = hosts.one_after_the_other(
        hosts.drops(CONTENT, 300_000, ETag=None, Last_Modified=LONG_AGO), hosts.drops(new, len(new), **said)
    )
    assert_right(fetch, fetch(host.link("/a.7z", behaviour), attempts=1), new)


@pytest.mark.parametrize("length", [len(CONTENT) + 10, len(CONTENT) * 2])
def test_a_host_that_promises_too_much_is_told(host: Host, fetch: Fetch, length: int) -> None:
    fault = fetch.fails(host.link("/a.7z", hosts.says(200, CONTENT, Content_Length=length)))
    assert fault.finding.code is Code.DOWNLOAD_FAILED


def test_the_next_link_is_tried_and_the_reason_told(host: Host, fetch: Fetch) -> None:
    bad = host.link("/bad.7z", hosts.says(404))
    good = host.link("/good.7z", hosts.serves(CONTENT))
    download = fetch(bad, good)
    assert_right(fetch, download)
    assert download.url == good
    assert fetch.lines[0].startswith(f"WARNING: {bad} failed: ")
    assert "404" in fetch.lines[0]
    assert fetch.lines[1] == f"INFO: {good} worked"


def test_nothing_of_a_bad_link_stays_in_the_file_of_the_next(host: Host, fetch: Fetch) -> None:
    bad = host.link("/bad.7z", hosts.drops(b"y" * 5_000, 4_000, ETag=None))
    good = host.link("/good.7z", hosts.serves(b"short"))
    assert_right(fetch, fetch(bad, good), b"short")


def test_a_failing_link_is_tried_again_after_a_pause(host: Host, fetch: Fetch) -> None:
    behaviour = hosts.one_after_the_other(hosts.says(500), hosts.serves(CONTENT))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour)))
    assert fetch.slept


@pytest.mark.parametrize("status", [404, 410, 403])
def test_what_is_gone_is_not_tried_again(host: Host, fetch: Fetch, status: int) -> None:
    fault = fetch.fails(host.link("/a.7z", hosts.says(status)), attempts=3)
    assert fault.finding.code is Code.DOWNLOAD_FAILED
    assert len(host.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_host_is_given_the_time_that_it_asks_for(host: Host, fetch: Fetch, status: int) -> None:
    behaviour = hosts.one_after_the_other(hosts.says(status, Retry_After="1"), hosts.serves(CONTENT))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour)))
    assert max(fetch.slept) > 0.5


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("30", 30.0),
        ("600", MAX_PAUSE),
        pytest.param(formatdate(time.time() + 86_400, usegmt=True), MAX_PAUSE, id="tomorrow"),
        pytest.param(formatdate(time.time() - 86_400, usegmt=True), PAUSE / 2, id="yesterday"),
        ("Thu, 01 Jan 1970 00:00:00 +9999999999999", PAUSE / 2),
        ("soon", PAUSE / 2),
    ],
)
def test_a_busy_host_may_ask_for_seconds_or_name_a_date_but_not_for_more_than_it_gets(
    host: Host, tmp_path: Path, asked: str, given: float
) -> None:
    fetch = Fetch(tmp_path / "archive")
    behaviour = hosts.one_after_the_other(hosts.says(503, Retry_After=asked), hosts.serves(CONTENT))
    assert_right(fetch, fetch(host.link("/a.7z", behaviour)))
    assert fetch.slept == [given]


def test_all_reasons_are_told_when_all_links_failed(host: Host, fetch: Fetch) -> None:
    links = [host.link("/a.7z", hosts.says(404)), host.link("/b.7z", hosts.says(500)), "http://127.0.0.1:1/c.7z"]
    fault = fetch.fails(*links)
    assert fault.finding.code is Code.DOWNLOAD_FAILED
    for link, reason in zip(links, ("404", "500", "no connection"), strict=True):
        assert link in fault.finding.message
        assert reason in fault.finding.message


def test_a_file_that_is_announced_as_too_large_is_not_read(host: Host, fetch: Fetch) -> None:
    fault = fetch.fails(host.link("/a.7z", hosts.says(200, b"x", Content_Length=4_000_000)))
    assert fault.finding.code is Code.DOWNLOAD_TOO_LARGE
    assert fetch.told == []


def test_an_endless_body_is_cut(host: Host, fetch: Fetch) -> None:
    assert fetch.fails(host.link("/a.7z", hosts.never_ends)).finding.code is Code.DOWNLOAD_TOO_LARGE


def test_a_dripping_host_is_given_up(host: Host, fetch: Fetch) -> None:
    assert fetch.fails(host.link("/a.7z", hosts.drips)).finding.code is Code.DOWNLOAD_TOO_SLOW
    assert len(host.requests) == 1


def test_a_host_that_does_not_answer_is_given_up(host: Host, fetch: Fetch) -> None:
    assert fetch.fails(host.link("/a.7z", hosts.stays_silent)).finding.code is Code.DOWNLOAD_TOO_SLOW


def test_a_host_that_goes_silent_is_given_up(host: Host, fetch: Fetch) -> None:
    def behave(request: hosts.Request) -> None:
        request.answer(200, b"x" * 1000, ETag=None, Content_Length=2000)
        hosts.stays_silent(request)

    fault = fetch.fails(host.link("/a.7z", behave))
    assert fault.finding.code is Code.DOWNLOAD_FAILED
    assert "silent" in fault.finding.message


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
    ],
)
def test_a_host_that_speaks_no_http_is_told(host: Host, fetch: Fetch, raw: bytes) -> None:
    assert fetch.fails(host.link("/a.7z", hosts.says_raw(raw))).finding.code is Code.DOWNLOAD_FAILED


def test_redirects_are_followed(host: Host, fetch: Fetch) -> None:
    host.link("/files/a.7z", hosts.serves(CONTENT))
    absolute = host.link("/second", hosts.says(301, Location="/files/a.7z"))
    link = host.link("/first", hosts.says(302, Location=absolute))
    assert_right(fetch, fetch(link))


def test_a_redirect_without_end_is_told(host: Host, fetch: Fetch) -> None:
    fault = fetch.fails(host.link("/a.7z", hosts.says(302, Location="/a.7z")))
    assert "redirected" in fault.finding.message
    assert len(host.requests) == 4


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/a.7z", "http://[::1]/a.7z", "file:///etc/passwd", "http://a:b@127.0.0.1/", "ftp://x/y"]
)
def test_a_redirect_to_where_nobody_may_go_is_refused(host: Host, fetch: Fetch, target: str) -> None:
    fault = fetch.fails(host.link("/a.7z", hosts.says(302, Location=target)))
    assert fault.finding.code is Code.ADDRESS_REFUSED


def test_a_web_page_is_no_archive(host: Host, fetch: Fetch) -> None:
    page = b"\n <!-- hi -->\n<!DOCTYPE HTML><html><body>Download</body></html>"
    fault = fetch.fails(host.link("/a.7z", hosts.says(200, page, Content_Type="application/octet-stream")))
    assert fault.finding.code is Code.HTML_INSTEAD_OF_ARCHIVE


def test_a_web_page_may_be_a_plain_file(host: Host, fetch: Fetch) -> None:
    page = b"<html></html>"
    assert_right(fetch, fetch(host.link("/a.html", hosts.says(200, page)), archive=False), page)


def test_a_body_encoded_for_the_way_is_decoded(host: Host, fetch: Fetch) -> None:
    packed = gzip.compress(CONTENT)
    assert_right(fetch, fetch(host.link("/a.7z", hosts.says(200, packed, Content_Encoding="gzip"))))


def test_a_gz_that_is_called_encoded_stays_packed(host: Host, fetch: Fetch) -> None:
    packed = gzip.compress(CONTENT)
    assert_right(fetch, fetch(host.link("/a.tar.gz", hosts.says(200, packed, Content_Encoding="gzip"))), packed)


def test_a_download_can_be_called_off(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", hosts.never_ends)
    with pytest.raises(Cancelled):
        fetch(link, calls_off=3)
    assert not fetch.target.exists()


def test_a_name_that_nobody_knows_is_told(fetch: Fetch) -> None:
    fault = fetch.fails("http://there-is-no-such-host.invalid/a.7z")
    assert "cannot be found" in fault.finding.message


PAGE = b"""<!doctype html><html><body><form action="get?x=1" method="%s">
<img src="/images/captcha.png"><input type="hidden" name="id" value="42">
<input type="text" name="code"><input type="submit" name="go" value="Go"></form></body></html>"""


def captcha(method: str, content: bytes) -> hosts.Behaviour:
    def behave(request: hosts.Request) -> None:
        query = request.path.partition("?")[2] if request.command == "GET" else request.body.decode()
        fields = parse_qs(query)
        right = fields.get("code") == ["xyzzy"] and fields.get("id") == ["42"]
        if right and request.headers.get("Cookie") == "session=7":
            request.answer(200, content)
        else:
            request.answer(200, PAGE % method.encode(), Set_Cookie="session=7; Path=/")

    return behave


@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_answers_the_captcha(host: Host, fetch: Fetch, method: str) -> None:
    behaviour = captcha(method, CONTENT)
    host.link("/files/get", behaviour)
    fetch.answers = ["wrong", "xyzzy"]
    assert_right(fetch, fetch(host.link("/files/a.7z", behaviour)))
    assert fetch.asked == [f"http://127.0.0.1:{host.server_port}/images/captcha.png"] * 2


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_cookies_of_a_captcha_stay_with_the_host(host: Host, fetch: Fetch, method: str) -> None:
    with hosts.running_host() as other:
        elsewhere = other.link("/get", hosts.serves(CONTENT))
        page = PAGE.replace(b"get?x=1", elsewhere.encode()) % method.encode()
        fetch.answers = ["xyzzy"]
        assert_right(fetch, fetch(host.link("/a.7z", hosts.says(200, page, Set_Cookie="session=7"))))
        assert [request.headers.get("Cookie") for request in other.requests] == [None]


def test_the_cookies_of_a_captcha_do_not_follow_a_redirect_to_somebody_else(host: Host, fetch: Fetch) -> None:
    with hosts.running_host() as other:
        elsewhere = other.link("/a.7z", hosts.serves(CONTENT))
        host.link("/get", hosts.says(302, Location=elsewhere))
        fetch.answers = ["xyzzy"]
        assert_right(fetch, fetch(host.link("/a.7z", hosts.says(200, PAGE % b"post", Set_Cookie="session=7"))))
        asked = [*host.requests, *other.requests]
        assert [request.headers.get("Cookie") for request in asked] == [None, "session=7", None]


@pytest.mark.parametrize("link", [b"http://[", b"file:///etc/passwd", b"http://10.0.0.1/"])
def test_a_captcha_that_leads_nowhere_is_a_fault_of_the_host(host: Host, fetch: Fetch, link: bytes) -> None:
    fetch.answers = ["xyzzy"]
    page = PAGE.replace(b"get?x=1", link) % b"get"
    assert fetch.fails(host.link("/a.7z", hosts.says(200, page))).finding.code is Code.ADDRESS_REFUSED


@pytest.mark.parametrize("answers", [[None], ["wrong", "wrong", "wrong"]])
def test_nobody_answers_the_captcha(host: Host, fetch: Fetch, answers: list[str | None]) -> None:
    behaviour = captcha("post", CONTENT)
    host.link("/files/get", behaviour)
    fetch.answers = answers
    assert fetch.fails(host.link("/files/a.7z", behaviour)).finding.code is Code.CAPTCHA_UNANSWERED


def test_what_a_captcha_gave_is_not_taken_for_what_the_link_gave_before(host: Host, fetch: Fetch) -> None:
    given = b"given for an answer" * 1000
    host.link("/files/get", captcha("post", given))
    behaviour = hosts.one_after_the_other(hosts.drops(CONTENT, 5000), captcha("post", b""))
    link = host.link("/files/a.7z", behaviour)
    fetch.answers = ["xyzzy"]
    assert_right(fetch, fetch(link), given)
    fetch.target.unlink()
    host.link("/files/a.7z", confirms_or_serves(CONTENT))
    assert_right(fetch, fetch(link))


def confirms_or_serves(content: bytes) -> hosts.Behaviour:
    """What most hosts do: 304 to who has the content with the ETag "v1", else the content."""

    def behave(request: hosts.Request) -> None:
        if request.headers.get("If-None-Match") == '"v1"':
            request.answer(304, Content_Length=None)
        else:
            hosts.serves(content)(request)

    return behave


def test_a_full_disk_is_our_fault_and_leaves_nothing(host: Host, fetch: Fetch) -> None:
    link = host.link("/a.7z", hosts.serves(CONTENT))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ServerFault) as caught:
            fetch(link)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.finding.code is Code.DISK_FULL
    assert not fetch.target.exists()
