"""What another version has written is passed over when it cannot be understood: one record must not stop all others.

Whoever is upgraded or downgraded finds in Redis what the version before has left there.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

log = logging.getLogger(__name__)

Read = TypeVar("Read")


def understood(what: str, read: Callable[[], Read]) -> Read | None:
    """What `read` gives; None, and a line in the log that tells of `what`, when it stumbles over another form."""
    try:
        return read()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        _tell(what, repr(error))
        return None


@lru_cache(maxsize=1000)
def _tell(what: str, why: str) -> None:
    """Once, not each time that somebody looks."""
    log.warning("%s cannot be understood, perhaps another version has written it: %s", what, why)
