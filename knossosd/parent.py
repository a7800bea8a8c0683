"""Ending when the process that started us is gone, so that nothing works on unsupervised.

A supervisor that is killed with SIGKILL cannot stop what it has started. On Linux the kernel tells the children; on
other systems they go on until somebody stops them.
"""

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


def end_with_supervisor(number: signal.Signals) -> None:
    """Get the signal `number` when the supervisor dies; nothing for a process that somebody started by hand.

    Only for the main thread. A forked child has to ask for itself, with `end_with`.
    """
    if "SUPERVISOR_ENABLED" in os.environ:
        end_with(os.getppid(), number)
        if not _is_heard():
            os.kill(os.getpid(), number)


def end_with(parent: int, number: signal.Signals) -> None:
    """Get the signal `number` when the process `parent`, which has started this one, dies, or at once when it has."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def _is_heard() -> bool:
    """Whether the supervisor still reads what we say. It may have died before we asked who our parent is."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
