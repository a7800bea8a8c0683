"""Cutting one stream of unpacked files into its members, and digesting each."""

from collections.abc import Callable, Iterable, Iterator

from knossosd.conversion.digest import WORTH_A_THREAD, Digester, digest_bytes
from knossosd.repo.contents import Digest


class StreamMismatch(Exception):
    """The stream is longer or shorter than the members that were listed."""


def digest_members(chunks: Iterable[bytes], sizes: Iterable[int], advance: Callable[[int], None]) -> list[Digest]:
    """The digest of each member of a stream whose members have the `sizes` (bytes) and follow one another.

    `advance` is told the bytes of each chunk after it was read. Raises `StreamMismatch`, at the latest when the stream
    ends.
    """
    stream = _Stream(chunks, advance)
    digests = []
    for size in sizes:
        part = stream.take(size)
        if len(part) == size < WORTH_A_THREAD:
            digests.append(digest_bytes(part))
            continue
        digester = Digester()
        digester.update(part)
        while digester.size < size:
            digester.update(stream.take(size - digester.size))
        digests.append(digester.digest())
    if not stream.is_over():
        raise StreamMismatch
    return digests


class _Stream:
    """Chunks, taken in parts that never span two of them."""

    def __init__(self, chunks: Iterable[bytes], advance: Callable[[int], None]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._advance = advance
        self._chunk = memoryview(b"")
        self._start = 0

    def take(self, size: int) -> memoryview:
        """The next bytes, at most `size` and at least one of those that are missing."""
        if self._start == len(self._chunk) and size and not self._fetch():
            raise StreamMismatch
        part = self._chunk[self._start : self._start + size]
        self._start += len(part)
        return part

    def is_over(self) -> bool:
        return self._start == len(self._chunk) and not self._fetch()

    def _fetch(self) -> bool:
        """Go on to the next chunk that is not empty; False when there is none."""
        self._advance(len(self._chunk))
        self._chunk, self._start = memoryview(next(filter(None, self._chunks), b"")), 0
        return len(self._chunk) > 0
