"""7-Zip is started where little is allowed, and never left behind."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from knossosd.conversion.sevenzip import SevenZip
from tests import archives

PR_CAPBSET_DROP, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 24, 21, 24

MANY_PIPES = """
import fcntl, os, sys
from pathlib import Path
from knossosd.conversion.sevenzip import SevenZip
pipes = []
try:
    for _ in range(2000):
        pipes.append(os.pipe())
        fcntl.fcntl(pipes[-1][0], fcntl.F_SETPIPE_SZ, 1024 * 1024)
except PermissionError:
    print(SevenZip().list(Path(sys.argv[1]), check=lambda: None)[0].type)
"""


def like_a_user() -> None:
    """Let the program that comes next have no larger part of the system than ordinary users have."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_SYS_ADMIN, CAP_SYS_RESOURCE):
            libc.prctl(PR_CAPBSET_DROP, capability)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of any size")
def test_whoever_may_have_no_more_large_pipes_reads_archives_all_the_same(tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", archives.PLAIN)
    command = [sys.executable, "-c", MANY_PIPES, str(path)]
    ended = subprocess.run(command, preexec_fn=like_a_user, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("7z\n", "")


@pytest.fixture
def no_more_threads() -> Iterator[None]:
    """Let threads ask for so large a stack that none can be started."""
    usual = threading.stack_size(2**46)
    yield
    threading.stack_size(usual)


@pytest.mark.usefixtures("no_more_threads")
def test_a_7zip_whose_output_nobody_can_read_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.7z")  # an archive that never comes: 7-Zip waits for ever
    with pytest.raises(RuntimeError, match="thread"):
        SevenZip().list(tmp_path / "fifo.7z", check=lambda: None)
    assert [one for one in psutil.Process().children() if one.name().startswith("7zz")] == []
