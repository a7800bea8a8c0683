"""The benchmarks still run; what they measure is for people to read."""

import subprocess
import sys

from knossosd.settings import CHECKOUT


def test_a_small_benchmark_prints_its_table() -> None:
    program = CHECKOUT / "benchmarks" / "convert.py"
    done = subprocess.run(
        [sys.executable, program, "--quick", "300 MB in three archives"],
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ours / slowest" in done.stdout
    assert "300 MB in three archives" in done.stdout
