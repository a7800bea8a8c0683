"""When a worker is killed, whatever its 7-Zip is doing, that is killed as well."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from knossosd.conversion import warden
from knossosd.conversion.sevenzip import SevenZip
from tests import archives

WORKER = """
import sys
from pathlib import Path
from knossosd.conversion.sevenzip import Names, SevenZip
doing, archive, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
sevenzip, go_on = SevenZip(), lambda: None
if doing == "list":
    sevenzip.list(archive, check=go_on)
elif doing == "stream":
    with sevenzip.stream(archive, cores=1, check=go_on) as run:
        run.wait()
elif doing == "stream_some":
    with sevenzip.stream_some(archive, Names(("0000",), "x"), at_once=1, check=go_on) as run:
        run.wait()
else:
    with sevenzip.extract(archive, folder, check=go_on) as run:
        run.wait()
"""


@contextmanager
def worker(*arguments: object) -> Iterator[psutil.Process]:
    """A process that has 7-Zip do something; 7-Zip is killed in the end if nobody else did."""
    process = psutil.Popen([sys.executable, "-c", WORKER, *map(str, arguments)])
    sevenzips: list[psutil.Process] = []
    try:
        wait_until(lambda: sevenzips.extend(sevenzips_of(process)) or sevenzips)
        yield process
    finally:
        process.kill()
        process.wait()
        for one in sevenzips:
            if is_running(one):
                one.kill()


def sevenzips_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if child.name().startswith("7zz")]


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(holds: Callable[[], object]) -> None:
    while not holds():
        time.sleep(0.01)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """An archive that never comes: whoever opens it waits for ever."""
    os.mkfifo(tmp_path / "fifo.7z")
    return tmp_path / "fifo.7z"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("doing", ["list", "stream", "stream_some", "extract"])
def test_a_7zip_that_waits_for_ever_is_killed_with_its_worker(doing: str, fifo: Path, tmp_path: Path) -> None:
    with worker(doing, fifo, tmp_path / "unpacked") as process:
        [sevenzip] = sevenzips_of(process)
        process.kill()
        wait_until(lambda: not is_running(sevenzip))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that takes minutes to unpack."""
    return archives.make_slow_zip(tmp_path_factory.mktemp("slow") / "slow.zip")


@pytest.mark.timeout(30)
def test_a_7zip_that_unpacks_is_killed_with_its_worker(slow: Path, tmp_path: Path) -> None:
    with worker("extract", slow, tmp_path / "unpacked") as process:
        wait_until(lambda: (tmp_path / "unpacked" / "0001").exists())
        [sevenzip] = sevenzips_of(process)
        process.kill()
        wait_until(lambda: not is_running(sevenzip))
    assert not (tmp_path / "unpacked" / "0199").exists()


@pytest.mark.timeout(30)
def test_a_warden_that_was_killed_is_replaced(tmp_path: Path) -> None:
    first = warden.group()
    assert warden.group() == first
    psutil.Process(first).kill()
    wait_until(lambda: not is_running(psutil.Process(first)))
    assert warden.group() != first
    path = archives.pack(tmp_path / "a.7z", archives.PLAIN)
    assert SevenZip().list(path, check=lambda: None)[0].type == "7z"


@pytest.mark.timeout(30)
def test_a_worker_that_ends_leaves_no_warden() -> None:
    program = "from knossosd.conversion import warden; print(warden.group())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert not psutil.pid_exists(int(ended.stdout))
