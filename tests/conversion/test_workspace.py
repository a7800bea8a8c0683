"""Workspaces vanish with their owner, one way or the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from knossosd.conversion.workspace import GRACE, STALE_FILE, sweep, workspace


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


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
        age(folder, GRACE + STALE_FILE)
        assert sweep(tmp_path) == []
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
    age(folder, GRACE + 1)
    assert sweep(tmp_path) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert sweep(tmp_path) == [folder]
    assert not folder.exists()


def test_a_sweep_removes_old_files_and_leaves_young_ones(tmp_path: Path) -> None:
    old, young = tmp_path / "old", tmp_path / "young"
    old.touch()
    young.touch()
    age(old, STALE_FILE + 1)
    assert sweep(tmp_path) == [old]
    assert young.exists()


def test_a_sweep_of_a_missing_folder_finds_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "missing") == []
