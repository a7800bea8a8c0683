"""Cutting one stream of unpacked files into its members, and digesting each."""

from collections.abc import Callable, Iterable, Sequence

from knossosd.conversion.digest import Digester
from knossosd.repo.contents import Digest


class StreamMismatch(Exception):
    """The stream is longer or shorter than the members that were listed."""


def digest_members(chunks: Iterable[bytes], sizes: Sequence[int], advance: Callable[[int], None]) -> list[Digest]:
    """The digest of each member of a stream whose members have the `sizes` (bytes) and follow one another.

    `advance` is told the bytes read so far, once a chunk. Raises `StreamMismatch`, at the latest when the stream ends.
    """
    digests: list[Digest] = []
    digester, missing = Digester(), 0
    coming = iter(sizes)
    read = 0

    def next_member() -> bool:
        """Finish the member that is complete, and all empty ones behind it; False when no member is left."""
        nonlocal digester, missing
        while missing == 0:
            size = next(coming, None)
            if size is None:
                return False
            digester, missing = Digester(), size
            if size == 0:
                digests.append(digester.digest())
        return True

    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if not next_member():
                raise StreamMismatch
            part = view[:missing]
            digester.update(part)
            missing -= len(part)
            if missing == 0:
                digests.append(digester.digest())
            view = view[len(part) :]
        read += len(chunk)
        advance(read)
    if missing or next_member():
        raise StreamMismatch
    return digests
