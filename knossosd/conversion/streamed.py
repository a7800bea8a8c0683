"""Reading an archive without unpacking it to disk: 7-Zip streams the files in the order of the listing, and the stream
is cut by the listed sizes. A large archive is divided into shares that are streamed side by side."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import chain
from queue import SimpleQueue

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


@contextmanager
def streaming(reading: Reading, run: Run) -> Iterator["Stream"]:
    """The stream of a `run` that unpacks the whole archive; it ends with the block."""
    with ThreadPoolExecutor(1, "stream") as thread:
        stream = Stream(reading, run, thread)
        try:
            yield stream
        finally:
            stream.leave()


class Stream:
    """The stream of a whole archive, which is digested while the archive is still being listed."""

    def __init__(self, reading: Reading, run: Run, thread: ThreadPoolExecutor) -> None:
        self._reading = reading
        self._run = run
        self._thread = thread
        self._progress = _Progress(reading)
        self._sizes: SimpleQueue[list[int]] = SimpleQueue()
        self._listed = 0
        self._digesting: Future[list[Digest]] | None = None

    def follow(self, listing: Listing) -> None:
        """Digest the files that were listed since the last call."""
        entries = listing.entries[self._listed :]
        self._listed += len(entries)
        if sizes := [entry.size or 0 for entry in entries if not entry.is_folder]:
            self._sizes.put(sizes)
        if self._digesting is None:
            sizes_to_come = chain.from_iterable(iter(self._sizes.get, []))
            self._digesting = self._thread.submit(
                digest_members, self._run.chunks(), sizes_to_come, self._progress.advance
            )

    def digests(self, listing: Listing) -> list[Digest]:
        """The digests of all listed files, once the listing is whole.

        Raises `StreamMismatch` when the listing does not tell the truth, and the fault of a damaged archive.
        """
        self.follow(listing)
        assert self._digesting is not None
        self._sizes.put([])
        self._progress.expect(_size(listing))
        digests = self._digesting.result()
        self._reading.expect_success(self._run.wait(), listing)
        return digests

    def leave(self) -> None:
        """End it, whether or not all was digested."""
        self._sizes.put([])
        self._run.end()


def digest_shares(reading: Reading, listing: Listing, shares: list[Share]) -> list[Digest]:
    """The digests of all listed files, from several 7-Zip processes: as many at once as this reading's share of the
    cores, which may change meanwhile. Raises what `Stream.digests` raises."""
    return _Sharing(reading, listing, shares).digests()


class _Progress:
    """The bytes of an archive that were read, by several threads, told once their `total` is known."""

    def __init__(self, reading: Reading, total: int | None = None) -> None:
        self._reading = reading
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def expect(self, total: int) -> None:
        with self._lock:
            self._total = total
            self._tell()

    def advance(self, read: int) -> None:
        with self._lock:
            self._done += read
            self._tell()

    def _tell(self) -> None:
        if self._total is not None:
            self._reading.advance(self._done, self._total)


def _size(listing: Listing) -> int:
    return sum(file.size or 0 for file in listing.files)


class _Sharing:
    def __init__(self, reading: Reading, listing: Listing, shares: list[Share]) -> None:
        self._reading = reading
        self._listing = listing
        self._waiting = deque(shares)
        self._files = listing.files
        self._found = [EMPTY] * len(self._files)
        self._progress = _Progress(reading, _size(listing))
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
        with reading.sevenzip.stream_some(
            reading.path, share.names, workspace=reading.workspace, at_once=at_once, check=self._check
        ) as run:
            digests = digest_members(run.chunks(), sizes, self._progress.advance)
            reading.expect_success(run.wait(), self._listing)
        for place, digest in zip(share.places, digests, strict=True):
            self._found[place] = digest

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Cancelled
        self._reading.check()
