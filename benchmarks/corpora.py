"""Archives to measure with: content that packs about as well as that of mods, made from nothing and always the same."""

import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from knossosd.conversion.sevenzip import SevenZip  # noqa: E402

MB = 1_000_000
DAY = 86400
SEVENZIP = SevenZip().program
WORDS = [bytes(random.Random(seed).choices(b"abcdefghijklmnopqrstuvwxyz", k=3 + seed % 8)) for seed in range(3000)]


def text(size: int, seed: int) -> bytes:
    """A table as modders write them."""
    return b" ".join(random.Random(seed).choices(WORDS, k=size // 4 + 1))[:size]


def blocks(size: int, seed: int) -> Iterator[bytes]:
    """A model or a texture: some of it packs well, some does not."""
    source = random.Random(seed)
    phrase = text(16_384, seed)
    left = size
    while left > 0:
        block = source.randbytes(24_576) + phrase + bytes(8_192) + source.randbytes(8_192) + bytes(8_192)
        yield block[:left]
        left -= len(block)


def write(path: Path, size: int, seed: int) -> None:
    """A file of `size` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(blocks(size, seed))


def pack(tree: Path, target: Path, *switches: str) -> Path:
    """Pack all that is in `tree` with 7-Zip."""
    command = [SEVENZIP, "a", "-bd", *switches, target, "."]
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return target


def small_mod(target: Path, seed: int = 0) -> Path:
    """A mod of a few small files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"data/tables/{number}.tbm", text(4000, seed * 10 + number))
    return target


def large_members(target: Path, members: int, size: int, *switches: str, seed: int = 0) -> Path:
    """An archive of `members` files of `size` bytes."""
    with tempfile.TemporaryDirectory(prefix="tree") as folder:
        for number in range(members):
            write(Path(folder) / f"data/{number}.vp", size, seed + number)
        return pack(Path(folder), target, *switches)


def small_members(target: Path, members: int, *switches: str) -> Path:
    """An archive of `members` small files, 200 in a folder."""
    with tempfile.TemporaryDirectory(prefix="tree") as folder:
        for number in range(members):
            path = Path(folder) / f"data/{number // 200}/{number}.tbm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text(500 + number % 4000, number))
        return pack(Path(folder), target, *switches)


def age(archives: list[Path]) -> list[Path]:
    """Let the archives be a day old: what changed within the last minute has no validator (RFC 9110, 8.8.2.2)."""
    for archive in archives:
        os.utime(archive, (time.time() - DAY, time.time() - DAY))
    return archives


Maker = Callable[[Path, float], list[Path]]


def _large(name: str, members: int, size: int, *switches: str) -> Maker:
    return lambda folder, scale: [large_members(folder / name, members, int(size * scale), *switches)]


def _three(folder: Path, scale: float) -> list[Path]:
    kinds = [("a.7z", "-mx=1"), ("b.zip", "-mx=1"), ("c.7z", "-mx=3")]
    return [
        large_members(folder / name, 5, int(20 * MB * scale), level, seed=10 * number)
        for number, (name, level) in enumerate(kinds)
    ]


CORPORA: dict[str, Maker] = {
    "five small mods": lambda folder, _: [small_mod(folder / f"{number}.zip", number) for number in range(5)],
    "300 MB in three archives": _three,
    "20,000 small files, 7z": lambda folder, scale: [small_members(folder / "a.7z", int(20_000 * scale), "-mx=3")],
    "20,000 small files, zip": lambda folder, scale: [small_members(folder / "a.zip", int(20_000 * scale), "-mx=3")],
    "1 GB, 7z, one solid block": _large("a.7z", 10, 100 * MB, "-mx=1", "-ms=4g"),
    "1 GB, 7z, ten solid blocks": _large("a.7z", 10, 100 * MB, "-mx=1", "-ms=off"),
    "1 GB, zip": _large("a.zip", 10, 100 * MB, "-mx=1"),
    "1 GB, zip, stored": _large("a.zip", 10, 100 * MB, "-mx=0"),
}
"""What is converted, by name: the archives that a maker writes into a folder, smaller by a scale."""
