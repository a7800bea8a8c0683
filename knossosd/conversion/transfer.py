"""One try of one link: a file that is hashed while it is written, unless it is known and has not changed.

A transfer that breaks off is resumed where the host names a validator that says the content is still the same;
everything else starts over, with an empty file and a fresh digest.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from knossosd.conversion import captcha
from knossosd.conversion.busy import BUSY, Busy, asked_pause
from knossosd.conversion.digest import CHUNK
from knossosd.conversion.errand import Errand
from knossosd.conversion.http import Response, WebClient, on_the_way, redirected
from knossosd.conversion.known import Known, Validators
from knossosd.conversion.landing import Landing
from knossosd.conversion.observer import Level, Measure
from knossosd.faults import Code, InputFault, RemoteFault, time_in_words
from knossosd.repo.contents import Digest

MAX_RESUMES = 50
"""Times that one try is resumed."""

RESUME_PAUSE = 0.5
"""Seconds before a resume; twice as long after each that brought nothing."""

MAX_PAUSE = 60.0
"""Seconds that a host is given, even if it asks for more."""

CAPTCHA_TRIES = 3
SNIFFED = 512
"""Bytes at the beginning of a file that tell a web page from an archive."""

HTML = re.compile(
    rb"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?>.*?-->)\s*+)*+<(?:!doctype\s++html|html|head|body|script)\b", re.I | re.S
)
"""Nothing in it is tried in two ways, for with many comments there would be no end of ways."""
LENGTH = re.compile(r"[0-9]{1,20}")
CONTENT_RANGE = re.compile(rf"bytes ({LENGTH.pattern})-{LENGTH.pattern}/({LENGTH.pattern})")
GONE = {401, 403, 404, 405, 410, 451}
"""Statuses that another try does not change."""


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """What a transfer may cost: bytes, how slow it may be: bytes per second over `window` seconds, and how often in a
    row a resume may bring nothing: `attempts`."""

    max_size: int
    min_speed: int
    window: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a download needs to know of whom it is for.

    `errand` is what it is a part of. `expect_archive` makes a web page a fault. `advance` is told bytes so far and in
    total (None when unknown), `log` and `ask` reach those who watch, and `measured` is told what it costs.
    """

    errand: Errand
    expect_archive: bool
    advance: Callable[[int, int | None], None]
    log: Callable[[Level, str], None]
    ask: Callable[[str], str | None]
    measured: Callable[[Measure, float], None] = lambda _measure, _amount: None


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer brought: the digest of the content, which was written to the file unless it `is_unchanged`."""

    digest: Digest
    validators: Validators
    is_unchanged: bool = False


class Transfer:
    """One try of one link, resumed as often as that helps. When the content is `known` and at hand, the host is asked
    whether it has changed."""

    def __init__(
        self,
        client: WebClient,
        limits: TransferLimits,
        url: str,
        file: IO[bytes],
        wishes: Wishes,
        known: Known | None = None,
    ) -> None:
        self._client = client.on(wishes.errand)
        self._limits = limits
        self._url = url
        self._wishes = wishes
        self._pace = _Pace(limits)
        self._landing = Landing(file)
        self._if_range: str | None = None
        """What says that the rest is of the same content; None when there is no asking for a rest."""
        self._total: int | None = None
        self._known = known if known and known.conditions else None
        self._validators = Validators(url)

    def run(self) -> Transferred:
        """Transfer the file. Raises `InputFault` when another try cannot help, and `RemoteFault` when it may."""
        fruitless = 0
        for _ in range(MAX_RESUMES):
            before = self._landing.size
            try:
                if known := self._request():
                    return Transferred(known.digest, known.validators, is_unchanged=True)
                return Transferred(self._landing.digest(), self._validators)
            except RemoteFault as fault:
                if fault.finding.code is not Code.DOWNLOAD_FAILED:
                    raise
                fruitless = fruitless + 1 if self._landing.size == before else 0
                starts_over = self._landing.size == 0 < before
                has_rest = self._landing.size > 0 and self._if_range is not None
                if not (starts_over or (has_rest and fruitless < self._limits.attempts)):
                    raise
                self._wishes.log(Level.INFO, f"Resuming {self._url} at {self._landing.size} bytes")
                asked = fault.after if isinstance(fault, Busy) else 0.0
                self._wishes.errand.pause(max(asked, min(RESUME_PAUSE * 2**fruitless, MAX_PAUSE)))
        raise RemoteFault(Code.DOWNLOAD_FAILED, "The connection breaks off again and again.", "Try another host.")

    def _start_over(self) -> None:
        self._landing.start_over()
        self._validators = Validators(self._url)
        self._if_range = self._total = None

    def _request(self) -> Known | None:
        """Ask for the content, or for what is missing of it, and read it; returns what is known when the host confirms
        that it is still so."""
        known, self._known = self._known, None
        headers = known.conditions if known else {}
        if self._if_range is not None:
            headers = {"Range": f"bytes={self._landing.size}-", "If-Range": self._if_range}
        with self._client.get(self._url, headers=headers) as (response, url):
            self._pace.begin()
            if not (known and response.status == 304):
                self._receive(response, url)
                return None
            if known.is_confirmed(response, url, self._client):
                return known
        return self._request()  # what it says does not agree, so ask for the whole

    def _receive(self, response: Response, url: str) -> None:
        if response.status == 206 and self._continues(response):
            self._read(response)
            return
        if response.status in (206, 416):  # not the range that was asked for: ask for the whole
            self._start_over()
            raise RemoteFault(Code.DOWNLOAD_FAILED, "The host sent another part than was asked for.", "")
        self._expect_success(response)
        self._start_over()
        beginning = self._begin(response)
        if self._is_unwanted_page(beginning):
            self._pass_captcha(self._read_page(response, beginning), url, response)
            return
        self._validators = Validators.of(response, url)
        if self._total is not None and response.headers.get("Accept-Ranges") != "none":
            self._if_range = self._validators.etag or self._validators.last_modified
        self._write(beginning)
        self._read(response)

    def _continues(self, response: Response) -> bool:
        """Whether a partial answer begins where our file ends, and is of the same whole."""
        match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return (
            match is not None
            and int(match[1]) == self._landing.size
            and int(match[2]) == self._total
            and self._agrees(response)
        )

    def _agrees(self, response: Response) -> bool:
        """Whether a partial answer says of its whole what was said before, as far as it says anything."""
        known, said = self._validators, Validators.of(response, self._validators.url)
        if known.etag:
            return response.headers.get("ETag") in (None, known.etag)
        return said.etag is None and response.headers.get("Last-Modified") in (None, known.last_modified)

    def _expect_success(self, response: Response) -> None:
        status = response.status
        if status == 200:
            return
        message = f"The host answered with status {status} ({response.reason or 'no reason given'})."
        if status in GONE:
            raise InputFault(Code.DOWNLOAD_FAILED, message, "Open the link in a private browser window to check it.")
        hint = "Try again later, or another host."
        if status in BUSY:
            raise Busy(Code.DOWNLOAD_FAILED, message, hint, after=asked_pause(response, MAX_PAUSE))
        raise RemoteFault(Code.DOWNLOAD_FAILED, message, hint)

    def _begin(self, response: Response) -> bytes:
        """Take note of what is promised, and read the beginning of the body."""
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        length = LENGTH.fullmatch(response.headers.get("Content-Length", ""))
        if length and not encoded:
            self._total = int(length[0])
            self._hold_to_size(self._total)
        beginning = b""
        while len(beginning) < SNIFFED and (chunk := self._next(response)):
            beginning += chunk
        return beginning

    def _read(self, response: Response) -> None:
        while chunk := self._next(response):
            self._write(chunk)
        if self._total is not None and self._landing.size != self._total:
            raise RemoteFault(
                Code.DOWNLOAD_FAILED,
                f"The host promised {self._total} bytes and sent {self._landing.size}.",
                "Try again later, or another host.",
            )

    def _is_unwanted_page(self, beginning: bytes) -> bool:
        return self._wishes.expect_archive and HTML.match(beginning) is not None

    def _read_page(self, response: Response, beginning: bytes) -> bytes:
        page = beginning
        while len(page) < captcha.MAX_PAGE and (chunk := self._next(response)):
            page += chunk
        return page

    def _pass_captcha(self, page: bytes, url: str, response: Response) -> None:
        """Have somebody who watches answer the captcha on the page, and take what the host gives for it."""
        for _ in range(CAPTCHA_TRIES):
            form = captcha.find_captcha(page, url)
            if form is None:
                raise InputFault(
                    Code.HTML_INSTEAD_OF_ARCHIVE,
                    "The link leads to a web page, not to an archive.",
                    "Give the link behind the page's download button.",
                )
            answer = self._ask(form.image)
            if answer is None:
                break
            headers = on_the_way(_cookies_of(response), url, form.action)
            with self._send(form, answer, headers) as (response, url):
                self._expect_success(response)
                self._start_over()
                beginning = self._begin(response)
                if not self._is_unwanted_page(beginning):
                    self._write(beginning)
                    self._read(response)
                    return
                page = self._read_page(response, beginning)
        raise InputFault(
            Code.CAPTCHA_UNANSWERED,
            "The host asks for a captcha, and nobody who watches gave the right answer.",
            "Watch the conversion and type what the picture shows, or use a host without captchas.",
        )

    def _ask(self, image: str) -> str | None:
        return self._wishes.errand.apart(lambda: self._wishes.ask(image))

    @contextmanager
    def _send(
        self, form: captcha.CaptchaForm, answer: str, headers: Mapping[str, str]
    ) -> Iterator[tuple[Response, str]]:
        method, url, body = form.filled_in(answer)
        if method == "POST":
            typed = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            with self._client.request(method, url, headers=typed, body=body) as response:
                target = redirected(url, response)
                if target is None:
                    yield response, url
                    return
            headers, url = on_the_way(headers, url, target), target
        with self._client.get(url, headers=headers) as answered:
            yield answered

    def _next(self, response: Response) -> bytes:
        """The next piece of the body as it comes, b"" at its end.

        A body that was encoded for the way is decoded, unless it is a .gz that the host wrongly calls encoded.
        """
        decode = not self._url.lower().endswith((".gz", ".tgz"))
        chunk: bytes = response.read1(CHUNK, decode_content=decode)
        self._wishes.errand.check()  # a body that was hung up looks as if it were at its end
        self._wishes.measured(Measure.DOWNLOADED, len(chunk))
        self._pace.note(len(chunk))
        return chunk

    def _write(self, chunk: bytes) -> None:
        self._hold_to_size(self._landing.size + len(chunk))
        self._landing.add(chunk)
        self._wishes.advance(self._landing.size, self._total)

    def _hold_to_size(self, size: int) -> None:
        if size > self._limits.max_size:
            raise InputFault(
                Code.DOWNLOAD_TOO_LARGE,
                f"The file is larger than {self._limits.max_size} bytes.",
                "Split the package into several archives.",
            )


class _Pace:
    """Watches that a transfer does not crawl."""

    def __init__(self, limits: TransferLimits) -> None:
        self._limits = limits

    def begin(self) -> None:
        """An answer begins to come."""
        self._since, self._received = time.monotonic(), 0

    def note(self, size: int) -> None:
        """So many more bytes came. Raises `RemoteFault` with the code DOWNLOAD_TOO_SLOW."""
        now = time.monotonic()
        self._received += size
        if now - self._since >= self._limits.window:
            if self._received < self._limits.min_speed * (now - self._since):
                raise RemoteFault(
                    Code.DOWNLOAD_TOO_SLOW,
                    f"The host sent less than {self._limits.min_speed} bytes per second for "
                    f"{time_in_words(round(now - self._since))}.",
                    "Use a faster host.",
                )
            self.begin()


def _cookies_of(response: Response) -> dict[str, str]:
    """The header that brings back the cookies which came with an answer."""
    cookies = [one.partition(";")[0] for one in response.headers.getlist("Set-Cookie")]
    return {"Cookie": "; ".join(cookies)} if cookies else {}
