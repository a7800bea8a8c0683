"""Reading an archive without unpacking it to disk: 7-Zip streams the files in the order of the listing, and the stream
is cut by the listed sizes. A large archive is divided into shares that are streamed side by side."""

import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from knossosd.conversion.listing import Listing
from knossosd.conversion.members import digest_members
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.reading import Reading
from knossosd.conversion.sevenzip import Run
from knossosd.conversion.shares import Share
from knossosd.repo.contents import Digest

EMPTY = Digest(
    0, "d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)
"""The digest of no bytes."""


def digest_stream(reading: Reading, listing: Listing, run: Run) -> list[Digest]:
    """The digests of all listed files, from a `run` that streams the whole archive.

    Raises `StreamMismatch` when the listing does not tell the truth, and the fault of a damaged archive.
    """
    progress = _Progress(reading, listing)
    digests = digest_members(run.chunks(), [file.size or 0 for file in listing.files], progress.advance)
    reading.expect_success(run.wait(), listing)
    return digests


def digest_shares(reading: Reading, listing: Listing, shares: list[Share]) -> list[Digest]:
    """The same, from several 7-Zip processes: as many at once as this reading's share of the cores, which may change
    meanwhile. Raises what `digest_stream` raises."""
    return _Sharing(reading, listing, shares).digests()


class _Progress:
    """The bytes of an archive that were read, by several threads."""

    def __init__(self, reading: Reading, listing: Listing) -> None:
        self._reading = reading
        self._total = sum(file.size or 0 for file in listing.files)
        self._done = 0
        self._lock = threading.Lock()

    def advance(self, read: int) -> None:
        with self._lock:
            self._done += read
            self._reading.advance(self._done, self._total)


class _Sharing:
    def __init__(self, reading: Reading, listing: Listing, shares: list[Share]) -> None:
        self._reading = reading
        self._listing = listing
        self._waiting = deque(shares)
        self._files = listing.files
        self._found = [EMPTY] * len(self._files)
        self._progress = _Progress(reading, listing)
        self._stopped = threading.Event()

    def digests(self) -> list[Digest]:
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(self._reading.tools.cores.count, "share") as pool:
            try:
                while self._waiting or running:
                    while self._waiting and len(running) < self._reading.tools.cores.share():
                        running.add(pool.submit(self._read, self._waiting.popleft()))
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        one.result()
            except BaseException:
                self._stopped.set()
                raise
        return self._found

    def _read(self, share: Share) -> None:
        reading = self._reading
        sizes = [self._files[place].size or 0 for place in share.places]
        at_once = reading.tools.cores.count
        with reading.sevenzip.stream_some(reading.path, share.names, at_once=at_once, check=self._check) as run:
            digests = digest_members(run.chunks(), sizes, self._progress.advance)
            reading.expect_success(run.wait(), self._listing)
        for place, digest in zip(share.places, digests, strict=True):
            self._found[place] = digest

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Cancelled
        self._reading.check()
