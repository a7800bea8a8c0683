"""The benchmarks still run; what they measure is for people to read."""

import subprocess
import sys
from pathlib import Path

from knossosd.settings import CHECKOUT


def test_a_small_benchmark_prints_its_table() -> None:
    printed = run("convert.py", "300 MB in three archives")
    assert "ours / slowest" in printed
    assert "300 MB in three archives" in printed


def test_a_small_growth_is_printed_and_drawn(tmp_path: Path) -> None:
    printed = run("growth.py", "--plot", str(tmp_path / "growth.png"), "files in a zip", "waiting tickets")
    assert "A conversion, by files in a zip" in printed
    assert "One ticket's life" in printed
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_small_throughput_is_printed() -> None:
    printed = run("throughput.py")
    assert "per minute" in printed
    assert "1 worker, round 1" in printed


def test_the_web_tier_is_measured_and_every_event_arrives(tmp_path: Path) -> None:
    printed = run("web.py", "--processes", "2", "--plot", str(tmp_path / "web.png"))
    assert "ours / minimal" in printed
    rows = [line for line in printed.splitlines() if "events/s" in line]
    assert len(rows) == 5
    assert all(row.split("│")[5].strip() == "0" for row in rows), printed
    assert (tmp_path / "web.png").read_bytes().startswith(b"\x89PNG")


def test_many_uploads_are_measured() -> None:
    printed = run("uploads.py", "--count", "4")
    assert "4 uploads of 20 MB at once" in printed
    assert "MB peak" in printed


def run(benchmark: str, *arguments: str) -> str:
    """Run a benchmark as small as it can be; returns what it prints."""
    program = CHECKOUT / "benchmarks" / benchmark
    done = subprocess.run(
        [sys.executable, program, "--quick", *arguments], text=True, capture_output=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
