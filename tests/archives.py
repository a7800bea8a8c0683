"""Archives of every kind, made from nothing: with 7-Zip, the standard library, pycdlib, and small writers of our own
for what none of them can write."""

import gzip
import io
import plistlib
import random
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pycdlib

from knossosd.conversion.sevenzip import SevenZip

Files = Mapping[str, bytes]

SAMPLE: Files = {
    "mod.ini": b"[launcher]\n",
    "data/tables/ships-shp.tbm": b"#Ship Classes\n" * 1000,
    "data/empty.txt": b"",
    "data/effects/big.bin": bytes(range(256)) * 12_000,
    "data/Ümläut ✓.txt": "ünï".encode(),
    "data/with space [1] = x.txt": b"odd",
    "-dash.txt": b"looks like a switch",
    "@list.txt": b"looks like a list",
    "data/.hidden": b"hidden",
}
"""Names and contents that trip up careless readers."""

PLAIN: Files = {"MOD.INI": b"[launcher]\n", "SHIPS.TBM": b"#Ship Classes\n" * 500}
"""For formats that know nothing but short names."""


def write_tree(folder: Path, files: Files) -> Path:
    """Write the files below `folder`, with an empty folder beside them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "an empty folder").mkdir(parents=True, exist_ok=True)
    return folder


def pack(path: Path, files: Files, *switches: str) -> Path:
    """Pack with 7-Zip; the switches say how."""
    with tempfile.TemporaryDirectory() as folder:
        tree = write_tree(Path(folder), files)
        command = [SevenZip().program, "a", "-bd", *switches, "--", path.absolute(), "."]
        subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return path


def make_zip(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED, streamed: bool = False) -> Path:
    """A zip; `streamed` writes sizes behind the data, as programs do that cannot seek."""

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    buffer = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())
    return path


def make_slow_zip(path: Path, files: int = 200) -> Path:
    """A zip that 7-Zip needs more than half a second for each file of: the same megabyte, nearly noise, packed once
    with the slowest method, and listed under many names."""
    content = bytes(byte & 0x7F for byte in random.randbytes(1024 * 1024))  # 7-Zip would only store pure noise
    packed = pack(path.with_suffix(".one"), {"0000": content}, "-tzip", "-mm=PPMd").read_bytes()
    start, central = packed.index(b"PK\x03\x04"), packed.index(b"PK\x01\x02")
    size = int.from_bytes(packed[start + 18 : start + 22], "little")
    extra = int.from_bytes(packed[start + 28 : start + 30], "little")
    local = packed[start : start + 34 + extra + size]
    entry = packed[central : packed.index(b"PK", central + 4)]
    assert local[30:34] == entry[46:50] == b"0000"
    with path.open("wb") as file:
        for number in range(files):
            file.write(local[:30] + b"%04d" % number + local[34:])
        for number in range(files):
            file.write(entry[:42] + struct.pack("<I", number * len(local)) + b"%04d" % number + entry[50:])
        where = files * len(local)
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, files, files, files * len(entry), where, 0))
    return path


def make_tar(path: Path, files: Files, mode: str = "w", format: int = tarfile.PAX_FORMAT) -> Path:  # noqa: A002
    with tarfile.open(path, mode, format=format) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_old_tar(path: Path, files: Files) -> Path:
    """A tar of the seventh edition of Unix, which does not say that it is one."""
    make_tar(path, files, format=tarfile.USTAR_FORMAT)
    data = bytearray(path.read_bytes())
    position = 0
    while any(data[position : position + 512]):
        header = data[position : position + 512]
        header[257:512] = bytes(255)
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        data[position : position + 512] = header
        position += 512 + -(-int(header[124:135], 8) // 512) * 512
    path.write_bytes(data)
    return path


def sparse_tar(end: bytes, hole: int) -> bytes:
    """A tar with one sparse file: a hole, then some bytes. The standard library reads such tars and writes none."""
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))

    def number(value: int) -> bytes:
        octal = b"%011o\0" % value
        return octal if len(octal) == 12 else b"\x80" + value.to_bytes(11, "big")

    header[124:136] = number(len(end))
    header[386:398] = number(hole)
    header[398:410] = number(len(end))
    header[483:495] = number(hole + len(end))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + end.ljust(512, b"\0") + bytes(1024)


def make_zst(path: Path, content: bytes) -> Path:
    """A Zstandard frame of stored blocks."""
    frame = io.BytesIO()
    frame.write(b"\x28\xb5\x2f\xfd" + b"\xe0" + struct.pack("<Q", len(content)))
    blocks = [content[at : at + 100_000] for at in range(0, len(content), 100_000)] or [b""]
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        frame.write(struct.pack("<I", len(block) << 3 | last)[:3] + block)
    path.write_bytes(frame.getvalue())
    return path


def make_rar5(
    path: Path, files: Files, links: Mapping[str, str] | None = None, volume: bool = False, link_type: int = 1
) -> Path:
    """A RAR 5 archive of stored files and links (symbolic ones, or hard ones of type 4); `volume` says that more
    volumes belong to it."""

    def vint(number: int) -> bytes:
        out = b""
        while number > 0x7F:
            out += bytes([number & 0x7F | 0x80])
            number >>= 7
        return out + bytes([number])

    def block(body: bytes) -> bytes:
        sized = vint(len(body)) + body
        return struct.pack("<I", zlib.crc32(sized)) + sized

    def file(name: str, content: bytes, extra: bytes = b"") -> bytes:
        encoded = name.encode()
        flags = (1 if extra else 0) | 2
        head = vint(2) + vint(flags) + (vint(len(extra)) if extra else b"") + vint(len(content))
        head += vint(4) + vint(len(content)) + vint(0o100644) + struct.pack("<I", zlib.crc32(content))
        head += vint(0) + vint(1) + vint(len(encoded)) + encoded + extra
        return block(head) + content

    def link(name: str, target: str) -> bytes:
        record = vint(5) + vint(link_type) + vint(0) + vint(len(target.encode())) + target.encode()
        return file(name, b"", vint(len(record)) + record)

    flags = 1 if volume else 0
    data = b"Rar!\x1a\x07\x01\x00" + block(vint(1) + vint(0) + vint(flags))
    data += b"".join(file(name, content) for name, content in files.items())
    data += b"".join(link(name, target) for name, target in (links or {}).items())
    data += block(vint(5) + vint(0) + vint(flags))
    path.write_bytes(data)
    return path


def make_rar4(path: Path, files: Files, volume: bool = False) -> Path:
    """A RAR 4 archive of stored files."""

    def block(kind: int, flags: int, rest: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    data = b"Rar!\x1a\x07\x00" + block(0x73, 1 if volume else 0, bytes(6))
    for name, content in files.items():
        encoded = name.encode("ascii")
        rest = struct.pack(
            "<IIBIIBBHI",
            len(content),
            len(content),
            3,
            zlib.crc32(content),
            0x58000000,
            20,
            0x30,
            len(encoded),
            0o100644,
        )
        data += block(0x74, 0x8000, rest + encoded) + content
    path.write_bytes(data + block(0x7B, 0x4000 | (1 if volume else 0), b""))
    return path


def make_cab(path: Path, files: Files) -> Path:
    """A cabinet of stored files, all in one folder of its own kind."""

    def checksum(data: bytes, seed: int) -> int:
        words = len(data) // 4
        for (word,) in struct.iter_unpack("<I", data[: words * 4]):
            seed ^= word
        rest = data[words * 4 :]
        return seed ^ int.from_bytes(rest, "big")

    content = b"".join(files.values())
    entries, offset = b"", 0
    for name, data in files.items():
        entries += struct.pack("<IIHHHH", len(data), offset, 0, 0x5821, 0, 0x20) + name.encode() + b"\0"
        offset += len(data)
    chunks = [content[at : at + 32768] for at in range(0, len(content), 32768)]
    blocks = b""
    for chunk in chunks:
        sizes = struct.pack("<HH", len(chunk), len(chunk))
        blocks += struct.pack("<I", checksum(sizes, checksum(chunk, 0))) + sizes + chunk
    first_file = 36 + 8
    first_block = first_file + len(entries)
    header = struct.pack(
        "<4sIIIIIBBHHHHH", b"MSCF", 0, first_block + len(blocks), 0, first_file, 0, 3, 1, 1, len(files), 0, 1, 0
    )
    path.write_bytes(header + struct.pack("<IHH", first_block, len(chunks), 0) + entries + blocks)
    return path


def make_iso(path: Path, files: Files) -> Path:
    """An ISO 9660 image with long names (Joliet)."""
    iso = pycdlib.PyCdlib()
    iso.new(joliet=3)
    for number, (name, content) in enumerate(files.items()):
        iso.add_fp(io.BytesIO(content), len(content), f"/F{number}.;1", joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()
    return path


def make_dmg(path: Path, image: bytes) -> Path:
    """A disk image for macOS with one partition, stored, that holds `image`."""
    image += bytes(-len(image) % 512)
    sectors = len(image) // 512
    run = struct.pack(">IIQQQQ", 1, 0, 0, sectors, 0, len(image))
    end = struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, sectors, 0, len(image), 0)
    table = struct.pack(">4sIQQQII", b"mish", 1, 0, sectors, 0, 0, 0) + bytes(24)
    table += struct.pack(">II", 2, 32) + bytes(128) + struct.pack(">I", 2) + run + end
    entry = {
        "Attributes": "0x0050",
        "CFName": "x (Apple_HFS : 0)",
        "Data": table,
        "ID": "0",
        "Name": "x (Apple_HFS : 0)",
    }
    xml = plistlib.dumps({"resource-fork": {"blkx": [entry]}})
    koly = struct.pack(">4sIII", b"koly", 4, 512, 1)
    koly += struct.pack(">QQQQQII", 0, 0, len(image), 0, 0, 1, 1) + bytes(16)
    koly += struct.pack(">II", 0, 0) + bytes(128)
    koly += struct.pack(">QQ", len(image), len(xml)) + bytes(120)
    koly += struct.pack(">II", 0, 0) + bytes(128) + struct.pack(">IQ", 1, sectors) + bytes(12)
    assert len(koly) == 512
    path.write_bytes(image + xml + koly)
    return path


def make_installer(path: Path, files: Files) -> Path:
    """A program that carries an archive behind it."""
    with tempfile.TemporaryDirectory() as folder:
        archive = pack(Path(folder, "inside.7z"), files).read_bytes()
    path.write_bytes(b"MZ" + bytes(5000) + archive)
    return path


KINDS: dict[str, tuple[Callable[[Path], Path], Files]] = {
    "solid.7z": (lambda path: pack(path, SAMPLE, "-ms=on"), SAMPLE),
    "separate.7z": (lambda path: pack(path, SAMPLE, "-ms=off", "-m0=LZMA"), SAMPLE),
    "stored.7z": (lambda path: pack(path, SAMPLE, "-mx=0"), SAMPLE),
    "bzip2.7z": (lambda path: pack(path, SAMPLE, "-m0=BZip2"), SAMPLE),
    "deflated.zip": (lambda path: make_zip(path, SAMPLE), SAMPLE),
    "stored.zip": (lambda path: make_zip(path, SAMPLE, zipfile.ZIP_STORED), SAMPLE),
    "lzma.zip": (lambda path: make_zip(path, SAMPLE, zipfile.ZIP_LZMA), SAMPLE),
    "streamed.zip": (lambda path: make_zip(path, SAMPLE, streamed=True), SAMPLE),
    "rar4.rar": (
        lambda path: make_rar4(path, {"mod.ini": b"x", "data/a.txt": b"a" * 9999, "e": b""}),
        {"mod.ini": b"x", "data/a.txt": b"a" * 9999, "e": b""},
    ),
    "rar5.rar": (lambda path: make_rar5(path, SAMPLE), SAMPLE),
    "plain.tar": (lambda path: make_tar(path, SAMPLE), SAMPLE),
    "gnu.tar": (
        lambda path: make_tar(path, {**SAMPLE, "x" * 150: b"long"}, format=tarfile.GNU_FORMAT),
        {**SAMPLE, "x" * 150: b"long"},
    ),
    "old.tar": (lambda path: make_old_tar(path, PLAIN), PLAIN),
    "tar.tar.gz": (lambda path: make_tar(path, SAMPLE, "w:gz"), SAMPLE),
    "tar.tgz": (lambda path: make_tar(path, SAMPLE, "w:gz"), SAMPLE),
    "tar.tar.xz": (lambda path: make_tar(path, SAMPLE, "w:xz"), SAMPLE),
    "tar.tar.bz2": (lambda path: make_tar(path, SAMPLE, "w:bz2"), SAMPLE),
    "tar.tar.zst": (lambda path: make_zst(path, make_tar(path, SAMPLE).read_bytes()), SAMPLE),
    "file.vp.gz": (lambda path: _write(path, gzip.compress(b"VPVP" * 5000)), {"file.vp": b"VPVP" * 5000}),
    "image.iso": (lambda path: make_iso(path, {name.replace("/", "_"): data for name, data in PLAIN.items()}), PLAIN),
    "cabinet.cab": (lambda path: make_cab(path, PLAIN), PLAIN),
    "installer.exe": (lambda path: make_installer(path, SAMPLE), SAMPLE),
    "disk.dmg": (lambda path: make_dmg(path, make_iso(path, PLAIN).read_bytes()), PLAIN),
}
"""Every kind of archive by its name: how to make it, and what is in it."""


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
