"""The disk, used without holding up other connections: it may be slow, far away, or gone."""

import logging
import shutil
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gevent
from gevent.util import wrap_errors

from knossosd.settings import MIB, Settings
from knossosd.tickets.connection import GLANCE

log = logging.getLogger(__name__)

KEPT_FREE = 256 * MIB
"""Bytes of disk that an upload must leave for everybody else."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_thread(work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """The result of `work`, which uses the disk or takes long, from a thread of its own. Raises what `work` raises."""
    # gevent would write a trace of what is raised in its threads, although the caller gets to hear of it.
    # Bottle's answers are exceptions, too: what is returned stands in a list, and so is not raised.
    outcome = gevent.get_hub().threadpool.apply(wrap_errors((Exception,), lambda: [work(*args, **kwargs)]))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome[0]  # type: ignore[no-any-return, unused-ignore]


class Disk:
    """Where archives are kept while they are converted, and afterwards.

    Of all that ask at once one looks, and the others wait with it: a disk that hangs costs one thread, and not one for
    each who asks.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.work_path
        self._looking: gevent.Greenlet[..., int | None] | None = None

    def free(self) -> int | None:
        """Free bytes; None when the disk does not say it within `GLANCE`."""
        if self._looking is None or self._looking.ready():
            self._looking = gevent.spawn(gevent.get_hub().threadpool.apply, self._look)
        looking = self._looking  # somebody else may begin another one while we wait
        looking.join(GLANCE)
        return looking.value

    def has_room(self, size: int) -> bool:
        """Whether so many bytes are free, as far as anybody knows."""
        free = self.free()
        return free is not None and free >= size

    def _look(self) -> int | None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            log.error("the disk does not say how much is free: %s", error)
            return None
