#!/usr/bin/env python3
"""How fast conversions are, beside what cannot be avoided, in one run.

    python benchmarks/convert.py [--quick] [CORPUS …]

For each corpus: the wall time of our pipeline, the times of its unavoidable parts (download by a plain client, `7zz t`,
md5 and sha256 of everything), the ratio of ours to the slowest of them, the peak memory of the converting process
(7-Zip not counted) and the peak disk of its work folder. The machine is noisy, so only the ratios mean much.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from knossosd.conversion.sevenzip import SevenZip  # noqa: E402

MB = 1_000_000
CHUNK = 1 << 20
SEVENZIP = SevenZip().program


def blocks(size: int, seed: int) -> Iterator[bytes]:
    """Content that packs to about half, as models and textures do."""
    source = random.Random(seed)
    left = size
    while left > 0:
        block = source.randbytes(32_768) + bytes(32_768)
        yield block[:left]
        left -= len(block)


def write(path: Path, size: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for block in blocks(size, seed):
            file.write(block)


def pack(tree: Path, target: Path, *switches: str) -> None:
    command = [SEVENZIP, "a", "-bd", *switches, target, "."]
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)


def large_7z(tree: Path, target: Path, scale: float) -> None:
    for number in range(15):
        write(tree / f"data/{number}.vp", int(10 * MB * scale), number)
    pack(tree, target, "-mx=3")


def zipped(tree: Path, target: Path, scale: float) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for number in range(20):
            write(tree / "file", int(5 * MB * scale), number)
            archive.write(tree / "file", f"data/{number}.vp")


def tar_gz(tree: Path, target: Path, scale: float) -> None:
    with tarfile.open(target, "w:gz", compresslevel=3) as tar:
        for number in range(10):
            write(tree / "file", int(5 * MB * scale), number)
            tar.add(tree / "file", f"data/{number}.vp")


def many_small(tree: Path, target: Path, scale: float) -> None:
    for number in range(int(20_000 * scale)):
        write(tree / f"data/{number % 100}/{number}.txt", 500 + number % 4000, number)
    pack(tree, target, "-mx=3")


def gigabyte(tree: Path, target: Path, scale: float) -> None:
    for number in range(10):
        write(tree / f"data/{number}.vp", int(100 * MB * scale), number)
    pack(tree, target, "-mx=1")


CORPORA: dict[str, Callable[[Path, Path, float], None]] = {
    "7z-150MB.7z": large_7z,
    "zip-100MB.zip": zipped,
    "targz-50MB.tar.gz": tar_gz,
    "small-20000.7z": many_small,
    "7z-1GB.7z": gigabyte,
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def download(url: str, target: Path) -> None:
    with urllib.request.urlopen(url) as response, target.open("wb") as file:
        shutil.copyfileobj(response, file, CHUNK)


def test(archive: Path) -> None:
    subprocess.run([SEVENZIP, "t", "-bd", archive], check=True, stdout=subprocess.DEVNULL)


def hash_everything(sizes: list[int]) -> None:
    for algorithm in ("md5", "sha256"):
        digest = hashlib.new(algorithm)
        for size in sizes:
            block = bytes(CHUNK)
            for start in range(0, size, CHUNK):
                digest.update(block[: min(CHUNK, size - start)])


def convert(url: str, name: str, folder: Path) -> tuple[float, int, int]:
    """Wall seconds of the pipeline, and its peak memory and disk in bytes."""
    packages = [{"name": "Core", "files": [{"filename": name, "urls": [f"{url}/{name}"]}]}]
    document = {"id": "bench", "title": "Bench", "version": "1.0.0", "packages": packages}
    (folder / "mod.json").write_text(json.dumps(document))
    settings = folder / "settings.py"
    mirror = folder / "mirror"
    settings.write_text(
        f"TRUSTED_HOSTS = ('127.0.0.1',)\nMIRROR_PATH = {str(mirror)!r}\nMIRROR_URL = 'http://mirror'\n"
    )
    environment = {**os.environ, "KNOSSOSD_SETTINGS": str(settings)}
    program = [sys.executable, str(Path(__file__)), "--worker", str(folder / "mod.json"), str(folder / "out.json")]
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
    return float(process.stdout.read()), memory, disk


def worker(source: str, target: str) -> None:
    """What is measured: everything is imported and ready, as in a worker that has run before."""
    from knossosd.cli.convert import run
    from knossosd.settings import current

    settings = current()
    print(timed(lambda: run(Path(source), Path(target), settings, quiet=True, cache=True)))


def measure(name: str, scale: float, table: Table) -> None:
    with tempfile.TemporaryDirectory(prefix="bench") as temporary:
        folder = Path(temporary)
        for part in ("served", "tree"):
            (folder / part).mkdir()
        archive = folder / "served" / name
        CORPORA[name](folder / "tree", archive, scale)
        shutil.rmtree(folder / "tree")
        with served(folder / "served") as url:
            wall, memory, disk = convert(url, name, folder)
            fetching = timed(lambda: download(f"{url}/{name}", folder / "copy"))
        testing = timed(lambda: test(archive))
        [package] = json.loads((folder / "out.json").read_text())["mods"][0]["packages"]
        listed = len(package["filelist"])
        unpacked = unpacked_size(archive)
        hashing = timed(lambda: hash_everything([archive.stat().st_size, unpacked]))
        slowest = max(fetching, testing, hashing)
        table.add_row(
            name, f"{archive.stat().st_size / MB:.0f}", f"{unpacked / MB:.0f}", str(listed), f"{wall:.2f}",
            f"{fetching:.2f}", f"{testing:.2f}", f"{hashing:.2f}", f"{wall / slowest:.2f}",
            f"{memory / MB:.0f}", f"{disk / MB:.0f}",
        )  # fmt: skip


def unpacked_size(archive: Path) -> int:
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            return sum(info.size for info in tar)
    listing, _ = SevenZip().list(archive, timeout=600, check=lambda: None)
    return sum(entry.size or 0 for entry in listing.files)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpora", nargs="*", choices=[*CORPORA, []], help="which ones; all when none is named")
    parser.add_argument("--quick", action="store_true", help="a tenth of every corpus")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
        return
    table = Table(title="Conversions (seconds, MB)")
    for heading in ("corpus", "packed", "unpacked", "files", "ours", "download", "7zz t", "hashing", "ours / slowest",
                    "memory", "work disk"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "corpus" else "right")
    for name in arguments.corpora or CORPORA:
        measure(name, 0.1 if arguments.quick else 1.0, table)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
