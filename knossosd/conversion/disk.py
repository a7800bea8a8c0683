"""What a full disk means for a conversion."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from knossosd.faults import Code, ServerFault

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def disk_full() -> ServerFault:
    """The fault of a disk that takes no more."""
    return ServerFault(Code.DISK_FULL, "The server's disk is full.", "This is not your mod's fault. Try again later.")


@contextmanager
def telling_of_a_full_disk() -> Iterator[None]:
    """Let the error of a disk that takes no more be a `ServerFault`; other errors stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full() from error
        raise
