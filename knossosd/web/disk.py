"""How much room there is, asked without holding up other connections: a disk may be slow, or far away."""

import shutil

import gevent

from knossosd.settings import Settings


def free_disk(settings: Settings) -> int:
    """Free bytes where archives are kept while they are converted, and afterwards."""
    free: int = gevent.get_hub().threadpool.apply(_free, (settings,))
    return free


def _free(settings: Settings) -> int:
    settings.work_path.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(settings.work_path).free
