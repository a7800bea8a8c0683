"""Starts programs that do not outlive the process that started them, however that ends.

Each program leads a process group of its own, so that it can be killed with all that it started itself. The warden is a
shell that knows these groups: a program is started by a launcher, another shell, which tells the warden its number
before it becomes the program. The warden reads from a pipe whose other end only this process and, for a moment, the
launchers hold. When the system closes that, after a `kill -9` as well, the warden kills the groups that are left.
"""

import atexit
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

WATCH = """
groups=
while read -r sign group; do
    case "$sign$groups" in
        +*) groups="$groups $group " ;;
        -*" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
    esac
done
for group in $groups; do kill -9 "-$group"; done
"""
"""Numbers come with a plus when a group begins and with a minus when it is over."""

LAUNCH = 'echo "+ $$" >&0; exec </dev/null; %s\nexec "$@"'
"""Standard input is the warden's pipe, because a shell cannot close any other number for the program."""

NICENESS = 10
"""How far programs stand behind this process when the machine is busy."""

_lock = threading.Lock()
_warden: subprocess.Popen[bytes] | None = None
_owner = 0


class Program:
    """A running program: its standard output is `stdout`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.stdout: IO[bytes] = process.stdout
        self._process = process

    def wait(self, timeout: float) -> int:
        """Its exit code, negative when a signal ended it. Raises `subprocess.TimeoutExpired` when it goes on."""
        if self._process.returncode is None:
            self._process.wait(timeout)
            self._end_group()  # at once: later the number may be another one's
        return self._process.returncode

    def kill(self) -> None:
        """Kill it and all that it started, when it still runs."""
        if self._process.returncode is None:
            self._end_group()
            self._process.wait()

    def _end_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):  # the warden was killed
            os.write(_entrance().fileno(), f"- {self._process.pid}\n".encode())


def start(command: Sequence[str | Path], *, bounds: str, stderr: IO[bytes], env: Mapping[str, str]) -> Program:
    """Start a program without input and with a low priority, after the shell did what `bounds` says."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", LAUNCH % bounds, "launcher", *command],
        stdin=_entrance(),
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=env,
        process_group=0,
        bufsize=0,
    )
    priority = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PGRP, process.pid, priority)
    return Program(process)


def _entrance() -> IO[bytes]:
    """Where the warden of this process, which a forked child does not share, is told of groups."""
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
                bufsize=0,
            )
            atexit.register(_warden.communicate)  # so that it is not left as a zombie
        assert _warden.stdin is not None
        return _warden.stdin
