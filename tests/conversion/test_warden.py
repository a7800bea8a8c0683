"""When a worker is killed, whatever its 7-Zip is doing, that is killed as well, with all that it started."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from knossosd.conversion import warden
from knossosd.conversion.observer import Cancelled
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
    folder.mkdir()
    with sevenzip.stream_some(archive, Names(("0000",), "x"), workspace=folder, at_once=1, check=go_on) as run:
        run.wait()
else:
    with sevenzip.extract(archive, folder, check=go_on) as run:
        run.wait()
"""


@contextmanager
def worker(*arguments: object, **environment: str) -> Iterator[psutil.Process]:
    """A process that has 7-Zip do something; 7-Zip is killed in the end if nobody else did."""
    process = psutil.Popen([sys.executable, "-c", WORKER, *map(str, arguments)], env={**os.environ, **environment})
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
    """And neither leaves anything but in the workspace, where it is found."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with worker(doing, fifo, tmp_path / "unpacked", TMPDIR=str(temporary)) as process:
        [sevenzip] = sevenzips_of(process)
        process.kill()
        wait_until(lambda: not is_running(sevenzip))
    assert list(temporary.iterdir()) == []


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


def wardens_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if warden.WATCH in child.cmdline()]


@pytest.mark.timeout(30)
def test_a_warden_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", archives.PLAIN)
    SevenZip().list(path, check=lambda: None)
    [first] = wardens_of(psutil.Process())
    first.kill()
    wait_until(lambda: not is_running(first))
    assert SevenZip().list(path, check=lambda: None)[0].type == "7z"
    [second] = [one for one in wardens_of(psutil.Process()) if is_running(one)]
    assert second != first


@pytest.mark.timeout(30)
def test_a_worker_that_ends_leaves_no_warden(tmp_path: Path) -> None:
    path = archives.pack(tmp_path / "a.7z", archives.PLAIN)
    program = """
import sys, psutil
from pathlib import Path
from knossosd.conversion.sevenzip import SevenZip
SevenZip().list(Path(sys.argv[1]), check=lambda: None)
[warden] = psutil.Process().children()
print(warden.pid)
"""
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert not psutil.pid_exists(int(ended.stdout))


def program_that_starts_another(folder: Path, then: str) -> Path:
    """A program in place of 7-Zip, which has started another one and told its number before it does what comes then."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\nsleep 1000 >&2 & echo $! > {folder}/new; mv {folder}/new {folder}/number; {then}\n")
    program.chmod(0o755)
    return program


def other_program(folder: Path) -> psutil.Process:
    wait_until((folder / "number").exists)
    return psutil.Process(int((folder / "number").read_text()))


@pytest.mark.timeout(30)
def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    program = program_that_starts_another(tmp_path, "exit 0")
    _, ended = SevenZip(program).list(tmp_path, check=lambda: None)
    assert ended.code == 0
    with suppress(psutil.NoSuchProcess):
        wait_until(lambda: not is_running(other_program(tmp_path)))


@pytest.mark.timeout(30)
def test_what_a_program_started_is_killed_with_it(tmp_path: Path) -> None:
    program, others = program_that_starts_another(tmp_path, "sleep 1000"), []

    def check() -> None:
        if (tmp_path / "number").exists():
            others.append(other_program(tmp_path))
            raise Cancelled

    with pytest.raises(Cancelled):
        SevenZip(program).list(tmp_path, check=check)
    wait_until(lambda: not is_running(others[0]))


@pytest.mark.timeout(30)
def test_what_a_program_started_is_killed_with_the_worker(tmp_path: Path) -> None:
    program = program_that_starts_another(tmp_path, "sleep 1000")
    code = f"from pathlib import Path; SevenZip(Path({str(program)!r})).list(Path('/'), check=lambda: None)"
    process = subprocess.Popen([sys.executable, "-c", f"from knossosd.conversion.sevenzip import SevenZip; {code}"])
    other = other_program(tmp_path)
    assert is_running(other)
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(other))


@pytest.mark.timeout(30)
def test_7zip_stands_behind_its_worker(fifo: Path, tmp_path: Path) -> None:
    with worker("list", fifo, tmp_path / "unpacked") as process:
        [sevenzip] = sevenzips_of(process)
        wait_until(lambda: sevenzip.nice() == process.nice() + warden.NICENESS)
