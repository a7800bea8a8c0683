"""How much room there is, asked without holding up other connections: a disk may be slow, far away, or gone."""

import logging
import shutil

import gevent

from knossosd.settings import Settings
from knossosd.tickets.connection import GLANCE

log = logging.getLogger(__name__)


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
