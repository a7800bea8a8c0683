"""Setting up on machines where something is missing: one clear sentence each."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkouts import ROOT

TOOLS = ("bash", "cat", "cksum", "rm", "tail", "mkdir", "sed", "dirname", "env")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout whose PATH has the most basic tools and nothing else."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    shutil.copy(ROOT / "environment.sh", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path


def python(machine: Path, script: str, name: str = "python3") -> None:
    """Put a Python of some kind on the machine."""
    program = machine / "bin" / name
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)


def set_up(machine: Path) -> tuple[int, str]:
    pip_settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(
        ["bash", "-c", "set -euo pipefail; . ./environment.sh; make_environment requirements.txt; echo ready"],
        cwd=machine,
        env={**pip_settings, "PATH": str(machine / "bin")},
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stderr.strip() + done.stdout.strip()


def test_no_python(machine: Path) -> None:
    assert set_up(machine) == (1, "knossosd needs Python 3.11 or newer, and there is none on this machine.")


def test_a_python_that_is_too_old(machine: Path) -> None:
    python(machine, '[ "$1" = --version ] && echo "Python 3.9.2" || exit 1')
    assert set_up(machine) == (1, "knossosd needs Python 3.11 or newer; this machine has Python 3.9.2.")


def test_a_newer_python_beside_an_old_one_is_found(machine: Path) -> None:
    python(machine, "exit 1")
    python(machine, f'exec {sys.executable} "$@"', "python3.11")
    code, said = set_up(machine)
    assert (code, said.endswith("ready")) == (0, True), said
    # The second time nothing is left to do.
    assert set_up(machine) == (0, "ready")


def test_a_python_without_venv(machine: Path) -> None:
    python(machine, f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    assert set_up(machine) == (
        1, "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"
    )  # fmt: skip


def test_packages_that_cannot_be_installed(machine: Path) -> None:
    python(machine, f'exec {sys.executable} "$@"')
    (machine / "requirements.txt").write_text("./there-is-no-such-package\n")
    code, said = set_up(machine)
    assert code == 1
    assert "The packages could not be installed: " in said
    # What was broken is tried again, and repaired.
    (machine / "requirements.txt").write_text("")
    assert set_up(machine)[0] == 0
