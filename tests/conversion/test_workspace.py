"""Workspaces vanish with their owner, one way or the other."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from knossosd.conversion.disposable import Disposable
from knossosd.conversion.workspace import GRACE, LOCK, STALE_FILE, abandoned, sweep, workspace


def after(seconds: float) -> Callable[[], float]:
    """A clock that is so far ahead: what was made just now is so old."""
    return lambda: time.time() + seconds


def paths(disposables: list[Disposable]) -> list[Path]:
    return [one.path for one in disposables]


def test_a_workspace_is_gone_when_the_block_is_left(tmp_path: Path) -> None:
    root = tmp_path / "not" / "there"
    with workspace(root) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
    assert list(root.iterdir()) == []
    with pytest.raises(ZeroDivisionError), workspace(root):
        _ = 1 / 0
    assert list(root.iterdir()) == []


def test_a_sweep_lets_a_held_workspace_alone_however_old(tmp_path: Path) -> None:
    with workspace(tmp_path) as folder:
        assert abandoned(tmp_path, after(GRACE + STALE_FILE)) == []
        assert sweep(tmp_path, after(GRACE + STALE_FILE)) == []
        assert folder.is_dir()


def test_a_sweep_removes_the_workspace_of_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from knossosd.conversion.workspace import workspace\n"
        "with workspace(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'archive').write_text('half')\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert sweep(tmp_path, after(GRACE + 1)) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert sweep(tmp_path) == []
    assert [(one.path, one.size) for one in abandoned(tmp_path, after(GRACE + 1))] == [(folder, 4)]
    assert folder.exists()
    assert paths(sweep(tmp_path, after(GRACE + 1))) == [folder]
    assert not folder.exists()


def test_a_sweep_removes_old_files_and_leaves_young_ones(tmp_path: Path) -> None:
    left = tmp_path / "upload-x"
    left.write_text("half")
    assert sweep(tmp_path, after(STALE_FILE - 60)) == []
    assert paths(sweep(tmp_path, after(STALE_FILE + 1))) == [left]
    assert not left.exists()


def test_a_file_that_has_just_come_is_young_whatever_its_content(tmp_path: Path) -> None:
    (tmp_path / "stored").write_text("old content")
    os.utime(tmp_path / "stored", (0, 0))
    (tmp_path / "work").mkdir()
    os.link(tmp_path / "stored", tmp_path / "work" / "upload-x")
    assert sweep(tmp_path / "work") == []


def test_what_others_hold_as_well_frees_nothing(tmp_path: Path) -> None:
    (tmp_path / "stored").write_text("content")
    (tmp_path / "work").mkdir()
    os.link(tmp_path / "stored", tmp_path / "work" / "upload-x")
    assert [one.size for one in sweep(tmp_path / "work", after(STALE_FILE + 1))] == [0]


def test_many_sweeps_at_once_remove_everything_once(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / f"convert-{number}"
        (folder / "1").mkdir(parents=True)
        for name in (".held", "a", "b", "1/c", "1/d"):
            (folder / name).write_text("x")
    removed: list[Disposable] = []
    sweeps = [threading.Thread(target=lambda: removed.extend(sweep(tmp_path, after(GRACE + 1)))) for _ in range(4)]
    for one in sweeps:
        one.start()
    for one in sweeps:
        one.join()
    assert list(tmp_path.iterdir()) == []
    assert len(removed) == len(set(paths(removed))) == 40


def test_a_sweep_does_not_disturb_an_owner_who_tidies_up(tmp_path: Path) -> None:
    done = threading.Event()
    making = threading.Lock()  # what is made during a sweep that is ahead of the time would be old at once

    def sweep_on() -> None:
        while not done.is_set():
            with making:
                sweep(tmp_path, after(GRACE + 1))
            time.sleep(0.0005)

    sweeper = threading.Thread(target=sweep_on)
    sweeper.start()
    try:
        for _ in range(300):
            with ExitStack() as stack:
                with making:
                    folder = stack.enter_context(workspace(tmp_path))
                (folder / "1").mkdir()
                (folder / "1" / "archive").write_text("x")
    finally:
        done.set()
        sweeper.join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", [[], ["archive"]])
def test_a_workspace_whose_owner_never_locked_it_goes(tmp_path: Path, inside: list[str]) -> None:
    folder = tmp_path / "convert-x"
    folder.mkdir()
    for name in inside:
        (folder / name).write_text("x")
    assert sweep(tmp_path) == []
    assert paths(sweep(tmp_path, after(GRACE + 1))) == [folder]


def test_a_sweep_works_where_only_a_file_that_may_be_written_can_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, where Linux makes a POSIX lock of every flock."""
    monkeypatch.setattr("fcntl.flock", fcntl.lockf)
    folder = tmp_path / "convert-x"
    folder.mkdir()
    (folder / LOCK).write_text("")
    assert paths(abandoned(tmp_path, after(GRACE + 1))) == [folder]
    assert paths(sweep(tmp_path, after(GRACE + 1))) == [folder]
    with workspace(tmp_path) as folder:
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []
