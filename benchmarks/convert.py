#!/usr/bin/env python3
"""How fast conversions are, beside what cannot be avoided, in one run.

    python benchmarks/convert.py [--quick] [--plot FILE.png] [CORPUS …]

For each corpus: the wall time of our pipeline; the times of its unavoidable parts, each alone (download by a plain
client, `7zz t`, md5 of everything, sha256 of everything); their limit, which is the slowest of them or the processor
time of all of them on all cores, whichever is longer; the ratios of ours to the slowest and to the limit; the same
conversion once more, when all is known; the peak memory of the converting process (7-Zip not counted) and the peak
disk of its work folder. The machine is noisy, so only the ratios mean much.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import psutil
from corpora import CORPORA, MB, SEVENZIP, age
from report import Row, draw_bars, print_table

CHUNK = 1 << 20
WORKER = Path(__file__).with_name("worker.py")
RATIOS = ("ours / slowest", "ours / limit")
GOAL = 1.15
LARGE = 16
"""MB of a corpus from which its ratios mean something."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder behind a web server; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Cost(NamedTuple):
    """Seconds on the wall, and of processors."""

    wall: float
    cpu: float


def cost(work: Callable[[], object]) -> Cost:
    """What `work` costs, and the programs that it starts."""

    def cpu() -> float:
        return sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    wall_before, cpu_before = time.perf_counter(), cpu()
    work()
    return Cost(time.perf_counter() - wall_before, cpu() - cpu_before)


def download(links: Sequence[str], target: Path) -> None:
    for link in links:
        with urllib.request.urlopen(link) as response, target.open("wb") as file:
            shutil.copyfileobj(response, file, CHUNK)


def test(archives: Sequence[Path]) -> None:
    for archive in archives:
        subprocess.run([SEVENZIP, "t", "-bd", archive], check=True, stdout=subprocess.DEVNULL)


def digest(algorithm: str, size: int) -> None:
    block, state = bytes(CHUNK), hashlib.new(algorithm)
    for start in range(0, size, CHUNK):
        state.update(block[: min(CHUNK, size - start)])


class Conversions(NamedTuple):
    """A conversion and the same once more, and the process's peak memory and work disk in bytes."""

    first: Cost
    again: Cost
    memory: int
    disk: int


def convert(links: Sequence[str], folder: Path) -> Conversions:
    """Convert twice in a process of its own, as in a worker that has run before."""
    files = [{"filename": link.rpartition("/")[2], "urls": [link]} for link in links]
    document = {"id": "bench", "title": "B", "version": "1.0.0", "packages": [{"name": "Core", "files": files}]}
    (folder / "mod.json").write_text(json.dumps(document))
    mirror, settings = folder / "mirror", folder / "settings.py"
    settings.write_text(
        f"TRUSTED_HOSTS = ('127.0.0.1',)\nMIRROR_PATH = {str(mirror)!r}\nMIRROR_URL = 'http://mirror'\n"
    )
    environment = {**os.environ, "KNOSSOSD_SETTINGS": str(settings)}
    program = [sys.executable, WORKER, folder / "mod.json", folder / "out.json"]
    process = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True)
    memory = disk = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            memory = max(memory, watched.memory_info().rss)
            disk = max(disk, sum(path.stat().st_size for path in mirror.glob(".work/**/*") if path.is_file()))
        except (psutil.Error, FileNotFoundError):
            pass
        time.sleep(0.02)
    assert process.returncode == 0
    assert process.stdout is not None
    first, again = (Cost(*map(float, line.split())) for line in process.stdout)
    return Conversions(first, again, memory, disk)


def unpacked_sizes(document: Path, archives: Sequence[Path]) -> tuple[int, int]:
    """Number of files in the generated document, and bytes that everything unpacks to."""
    from knossosd.conversion.sevenzip import SevenZip

    [package] = json.loads(document.read_text())["mods"][0]["packages"]
    listings = [SevenZip().list(archive, check=lambda: None)[0] for archive in archives]
    return len(package["filelist"]), sum(entry.size or 0 for listing in listings for entry in listing.files)


def measure(name: str, scale: float) -> Row:
    """The figures of one corpus, by the headings of the table."""
    with tempfile.TemporaryDirectory(prefix="bench") as temporary:
        folder = Path(temporary)
        (folder / "served").mkdir()
        archives = age(CORPORA[name](folder / "served", scale))
        packed = sum(archive.stat().st_size for archive in archives)
        with served(folder / "served") as url:
            links = [f"{url}/{archive.name}" for archive in archives]
            done = convert(links, folder)
            parts = {"download": cost(lambda: download(links, folder / "copy"))}
        files, unpacked = unpacked_sizes(folder / "out.json", archives)
        parts["7zz t"] = cost(lambda: test(archives))
        for algorithm in ("md5", "sha256"):
            parts[algorithm] = cost(partial(digest, algorithm, packed + unpacked))
    slowest = max(part.wall for part in parts.values())
    limit = max(slowest, sum(part.cpu for part in parts.values()) / (os.cpu_count() or 1))
    return {
        "packed MB": round(packed / MB),
        "unpacked MB": round(unpacked / MB),
        "files": files,
        "ours": done.first.wall,
        **{part: spent.wall for part, spent in parts.items()},
        "limit": limit,
        "ours / slowest": done.first.wall / slowest,
        "ours / limit": done.first.wall / limit,
        "again": done.again.wall,
        "memory MB": round(done.memory / MB),
        "work disk MB": round(done.disk / MB),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpora", nargs="*", choices=[*CORPORA, []], help="which ones; all when none is named")
    parser.add_argument("--quick", action="store_true", help="a hundredth of every corpus")
    parser.add_argument("--plot", type=Path, help="draw the ratios into this PNG")
    arguments = parser.parse_args()
    results = {name: measure(name, 0.01 if arguments.quick else 1.0) for name in arguments.corpora or CORPORA}
    print_table("Conversions (seconds, MB)", results)
    if arguments.plot:
        large = {name: row for name, row in results.items() if float(row["packed MB"]) >= LARGE}
        draw_bars(arguments.plot, "Time of a conversion", large, RATIOS, GOAL)


if __name__ == "__main__":
    main()
