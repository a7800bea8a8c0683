"""Readings divide the cores among themselves, and no seat is lost."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from knossosd.conversion.cores import PREFIX, Cores

COUNT = 8


def seats(folder: Path) -> list[Path]:
    return list(folder.glob(PREFIX + "*"))


def test_readings_share_the_cores_and_each_has_at_least_one(tmp_path: Path) -> None:
    ours, theirs = Cores(tmp_path / "cores", COUNT), Cores(tmp_path / "cores", COUNT)
    assert ours.share() == COUNT
    with ours.seat():
        assert (ours.share(), theirs.share()) == (8, 8)
        with theirs.seat():
            assert (ours.share(), theirs.share()) == (4, 4)
            with theirs.seat():
                assert ours.share() == 2
                assert Cores(tmp_path / "cores", 2).share() == 1
    assert ours.share() == COUNT
    assert seats(tmp_path / "cores") == []


def test_a_seat_is_free_again_when_a_reading_fails(tmp_path: Path) -> None:
    cores = Cores(tmp_path, COUNT)
    with pytest.raises(ZeroDivisionError), cores.seat():
        _ = 1 / 0
    assert seats(tmp_path) == []


SITTER = """
import sys
from pathlib import Path
from knossosd.conversion.cores import Cores
with Cores(Path(sys.argv[1]), 8).seat():
    print("sits", flush=True)
    sys.stdin.read()
"""


def test_the_seat_of_a_killed_process_is_free_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SITTER, str(tmp_path)]
    cores = Cores(tmp_path, COUNT)
    with cores.seat(), subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sitter:
        assert sitter.stdout is not None
        assert sitter.stdout.readline() == b"sits\n"
        assert cores.share() == COUNT // 2
        sitter.kill()
        sitter.wait()
        assert len(seats(tmp_path)) == 2
        assert cores.share() == COUNT
        assert len(seats(tmp_path)) == 1


@pytest.mark.timeout(60)
def test_nobody_who_counts_the_seats_takes_one_away(tmp_path: Path) -> None:
    cores, done = Cores(tmp_path, COUNT), threading.Event()

    def count() -> None:
        while not done.is_set():
            cores.share()

    counting = [threading.Thread(target=count) for _ in range(2)]
    for one in counting:
        one.start()
    lost = 0
    try:
        for _ in range(3000):
            with cores.seat():
                lost += not seats(tmp_path)
    finally:
        done.set()
        for one in counting:
            one.join()
    assert lost == 0
    assert seats(tmp_path) == []
