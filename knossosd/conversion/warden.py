"""Sees to it that no program outlives the process that started it, however that ends.

The warden is a shell that leads a process group, which the programs join. It waits at a pipe whose other end only this
process holds. When the system closes that, after a `kill -9` as well, the warden kills its group, and so itself.
"""

import atexit
import os
import subprocess
import threading

WATCH = "read -r _; kill -9 0"

_lock = threading.Lock()
_warden: subprocess.Popen[bytes] | None = None
_owner = 0


def group() -> int:
    """The process group for programs of this process, which a forked child does not share."""
    global _warden, _owner
    with _lock:
        if _warden is None or _owner != os.getpid() or _warden.poll() is not None:
            _owner = os.getpid()
            _warden = subprocess.Popen(
                ["/bin/sh", "-c", WATCH],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                process_group=0,
            )
            atexit.register(_warden.communicate)  # so that it is not left as a zombie
        return _warden.pid
