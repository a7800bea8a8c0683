"""One file from its links to the disk.

When a link fails the next one is tried, and when all have failed they are tried again after a pause, unless trying
cannot help. How one link is tried stands in `transfer.py`. Of all that want the same link at once only one downloads
it, and no host is asked for too much at a time.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from knossosd.conversion.busy import Busy
from knossosd.conversion.disk import telling_of_a_full_disk
from knossosd.conversion.errand import Errand
from knossosd.conversion.http import WebClient, host_of
from knossosd.conversion.known import Known, KnownLinks
from knossosd.conversion.leases import Leases
from knossosd.conversion.observer import Level, Measure
from knossosd.conversion.transfer import Transfer, TransferLimits, Transferred, Wishes
from knossosd.faults import Code, Fault, InputFault, RemoteFault, time_in_words
from knossosd.repo.contents import Digest
from knossosd.settings import Settings

PAUSE = 2.0
"""Seconds before the second round over the links; each later pause is twice as long, give or take a half."""


@dataclass(frozen=True, slots=True)
class Download:
    """A finished download: the digest of the content, the link that served it, and whether it was known before."""

    digest: Digest
    url: str
    was_known: bool = False


class Downloader:
    """Downloads through `client`, in at most `attempts` rounds over the links and `timeout` seconds, and at most
    `per_host` transfers from one host at a time.

    `pause` and `jitter` (a number from 0 to 1) are passed in, so that nobody has to wait for a test.
    """

    def __init__(
        self,
        client: WebClient,
        limits: TransferLimits,
        attempts: int,
        timeout: float,
        leases: Leases,
        per_host: int,
        pause: Callable[[Errand, float], None] = Errand.pause,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._limits = limits
        self._attempts = attempts
        self._timeout = timeout
        self._leases = leases
        self._per_host = per_host
        self._pause = pause
        self._jitter = jitter

    @classmethod
    def from_settings(cls, settings: Settings, leases: Leases) -> Self:
        limits = TransferLimits(
            max_size=settings.max_archive_size,
            min_speed=settings.min_speed,
            window=settings.idle_timeout,
            attempts=settings.download_attempts,
        )
        return cls(
            WebClient.for_downloads(settings),
            limits,
            settings.download_attempts,
            settings.download_timeout,
            leases,
            settings.downloads_per_host,
        )

    def fetch(self, urls: Sequence[str], into: Path, wishes: Wishes, links: KnownLinks) -> Download:
        """Download what one of the `urls` leads to, into the new file `into`.

        A content that `links` knows is not downloaded again when the host says that it has not changed. Raises
        `InputFault` or `RemoteFault` with every link's reason when all failed, and `ServerFault` when the disk is full.
        Whatever is raised, the file is gone.
        """
        try:
            with telling_of_a_full_disk(), self._limited(wishes.errand) as errand:
                return self._measured(list(urls), into, replace(wishes, errand=errand), links)
        except BaseException:
            into.unlink(missing_ok=True)
            raise

    def _limited(self, errand: Errand) -> AbstractContextManager[Errand]:
        return errand.limited(self._timeout, lambda: _too_slow(self._timeout))

    def _measured(self, urls: list[str], into: Path, wishes: Wishes, links: KnownLinks) -> Download:
        began = time.monotonic()
        download = self._fetch(urls, into, wishes, links)
        if download.was_known:
            wishes.measured(Measure.LINK_UNCHANGED, 1)
        else:
            wishes.measured(Measure.LINK_CHANGED, 1)
            wishes.measured(Measure.DOWNLOADING, time.monotonic() - began)
        return download

    def _fetch(self, urls: list[str], into: Path, wishes: Wishes, links: KnownLinks) -> Download:
        reasons: dict[str, Fault] = {}
        for attempt in range(self._attempts):
            if attempt:
                self._wait(attempt, list(reasons.values()), wishes)
            for url in urls:
                if isinstance(reasons.get(url), InputFault):
                    continue
                try:
                    download = self._try(url, into, wishes, links)
                except (InputFault, RemoteFault) as fault:
                    wishes.errand.check()
                    into.unlink(missing_ok=True)
                    reasons[url] = fault
                    wishes.log(Level.WARNING, f"{url} failed: {fault}")
                    continue
                if url != urls[0]:
                    wishes.log(Level.INFO, f"{url} worked")
                return download
            if all(isinstance(reason, InputFault) for reason in reasons.values()):
                break
        raise _all_failed(reasons)

    def _try(self, url: str, into: Path, wishes: Wishes, links: KnownLinks) -> Download:
        """Try one link, when nobody else is at it."""
        waited_for: list[str] = []

        def somebody_is_at_it() -> None:
            wishes.log(Level.INFO, f"Another conversion is downloading {url}, waiting for it")
            waited_for.append(url)

        began = time.time()
        with self._leases.hold([f"link {url}"], busy=somebody_is_at_it, check=wishes.errand.check):
            known = links.find(url, into)
            if known and waited_for and known.fetched > began:
                return Download(known.digest, url, was_known=True)
            transferred = self._transfer(url, into, wishes, known)
            if not transferred.is_unchanged:
                known = Known(transferred.digest, transferred.validators, time.time())
                was_stored = links.keep(url, known, into)
                wishes.measured(Measure.CONTENT_STORED if was_stored else Measure.CONTENT_NEW, 1)
        return Download(transferred.digest, url, transferred.is_unchanged)

    def _transfer(self, url: str, into: Path, wishes: Wishes, known: Known | None) -> Transferred:
        """Transfer the file `into`, which is a name of the known content already if there is one."""
        host = host_of(url)

        def host_is_busy() -> None:
            wishes.log(Level.INFO, f"Waiting for other downloads from {host}")

        places = [f"host {host} {place}" for place in range(self._per_host)]
        part = into.with_name(f"{into.name}.part")
        with self._leases.hold(places, busy=host_is_busy, check=wishes.errand.check):
            try:
                with part.open("xb") as file:
                    transferred = Transfer(self._client, self._limits, url, file, wishes, known).run()
                if not transferred.is_unchanged:
                    part.replace(into)
                return transferred
            finally:
                part.unlink(missing_ok=True)

    def _wait(self, attempt: int, reasons: list[Fault], wishes: Wishes) -> None:
        asked = max((reason.after for reason in reasons if isinstance(reason, Busy)), default=0.0)
        pause = max(PAUSE * 2 ** (attempt - 1) * (0.5 + self._jitter()), asked)
        wishes.log(Level.INFO, f"Trying again in {pause:.0f} s")
        self._pause(wishes.errand, pause)


def _too_slow(limit: float) -> InputFault:
    message = f"The download, with all tries and waiting, took longer than {time_in_words(limit)}."
    return InputFault(Code.DOWNLOAD_TOO_SLOW, message, "Use a faster host.")


def _all_failed(reasons: dict[str, Fault]) -> Fault:
    """One fault for a file none of whose links worked, with the reason of each."""
    findings = [reason.finding for reason in reasons.values()]
    codes = {finding.code for finding in findings}
    kind = InputFault if all(isinstance(reason, InputFault) for reason in reasons.values()) else RemoteFault
    hints = " ".join(dict.fromkeys(finding.hint for finding in findings if finding.hint))
    if len(reasons) == 1:
        message = f"{next(iter(reasons))}: {findings[0].message}"
    else:
        told = "; ".join(f"{url}: {finding.message}" for url, finding in zip(reasons, findings, strict=True))
        message = f"None of the links worked. {told}"
    return kind(codes.pop() if len(codes) == 1 else Code.DOWNLOAD_FAILED, message, hints)
