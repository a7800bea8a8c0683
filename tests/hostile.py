"""Archives that nobody packs by accident: bombs, liars, and names and entries that lead elsewhere."""

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

ZEROS = bytes(1024 * 1024)
LZMA = b"\x03\x01\x01"


# zip


def local_header(name: bytes, crc: int, packed: int, unpacked: int, method: int = 8) -> bytes:
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, method, 0, 33, crc, packed, unpacked, len(name), 0) + name


def central_entry(name: bytes, crc: int, packed: int, unpacked: int, at: int, method: int = 8, mode: int = 0) -> bytes:
    fixed = struct.pack("<4s2B5H3I", b"PK\1\2", 20, 3, 20, 0, method, 0, 33, crc, packed, unpacked)
    return fixed + struct.pack("<5H2I", len(name), 0, 0, 0, 0, mode << 16, at) + name


def end_of_zip(entries: Sequence[bytes], at: int) -> bytes:
    size = sum(map(len, entries))
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), size, at, 0)


def make_overlapping_zip(path: Path, files: int, kernel: int) -> Path:
    """Every file is quoted by the one before it, so that all share the zeros at the end."""
    packer = zlib.compressobj(9, wbits=-15)
    data = packer.compress(bytes(kernel)) + packer.flush()
    content = bytes(kernel)
    locals_: list[bytes] = []
    entries: list[tuple[bytes, int, int, int]] = []
    for number in reversed(range(files)):
        name, crc = b"%06d" % number, zlib.crc32(content)
        header = local_header(name, crc, len(data), len(content))
        entries.append((name, crc, len(data), len(content)))
        locals_.append(header)
        content = header + content
        data = b"\0" + struct.pack("<2H", len(header), len(header) ^ 0xFFFF) + header + data
    body = data[5:]
    central, at = [], 0
    for name, crc, packed, unpacked in reversed(entries):
        central.append(central_entry(name, crc, packed, unpacked, at))
        at += 30 + len(name) + 5
    path.write_bytes(body + b"".join(central) + end_of_zip(central, len(body)))
    return path


def make_zip_of_one(path: Path, files: int, content: bytes) -> Path:
    """Many names in the central directory, one file that all of them mean."""
    packer = zlib.compressobj(9, wbits=-15)
    data = packer.compress(content) + packer.flush()
    crc = zlib.crc32(content)
    body = local_header(b"000000", crc, len(data), len(content)) + data
    central = [central_entry(b"%06d" % number, crc, len(data), len(content), 0) for number in range(files)]
    path.write_bytes(body + b"".join(central) + end_of_zip(central, len(body)))
    return path


def make_disagreeing_zip(path: Path, local: bytes, central: bytes, content: bytes = b"content") -> Path:
    """One file, whose name in its own header is `local` and in the directory `central`."""
    crc, size = zlib.crc32(content), len(content)
    body = local_header(local, crc, size, size, method=0) + content
    entry = central_entry(central, crc, size, size, 0, method=0)
    path.write_bytes(body + entry + end_of_zip([entry], len(body)))
    return path


def make_zip_of_modes(path: Path, members: Sequence[tuple[str, int, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip from Unix of (name, mode, content): a link has where it leads as content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content, method)
    return path


# 7z


def number_of_7z(value: int) -> bytes:
    """A number as 7z writes them: the ones at the beginning of the first byte tell how many bytes follow."""
    for length in range(8):
        if value < 1 << (7 * (length + 1)):
            first = (0xFF00 >> length) & 0xFF | value >> (8 * length)
            return bytes([first]) + (value & ((1 << 8 * length) - 1)).to_bytes(length, "little")
    return b"\xff" + value.to_bytes(8, "little")


def lzma_stream(content: bytes) -> bytes:
    return lzma.compress(content, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}])


def lzma_props(dictionary: int) -> bytes:
    return bytes([93]) + struct.pack("<I", dictionary)


def _folder(packed: int, at: int, unpacked: int, coder: bytes, props: bytes, crc: int | None) -> bytes:
    number = number_of_7z
    flag = len(coder) | (0x20 if props else 0)
    info = bytes([flag]) + coder + (number(len(props)) + props if props else b"")
    digest = b"\x0a\x01" + struct.pack("<I", crc) if crc is not None else b""
    pack = b"\x06" + number(at) + number(1) + b"\x09" + number(packed) + b"\x00"
    unpack = b"\x07\x0b" + number(1) + b"\x00" + number(1) + info + b"\x0c" + number(unpacked) + digest + b"\x00"
    return pack + unpack


def _container(body: bytes, header: bytes) -> bytes:
    start = struct.pack("<QQI", len(body), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + body + header


def pack_header(header: bytes, body: bytes = b"") -> tuple[bytes, bytes]:
    """The body and the header of a 7z whose `header` is packed."""
    packed = lzma_stream(header)
    folder = _folder(len(packed), len(body), len(header), LZMA, lzma_props(1 << 20), zlib.crc32(header))
    return body + packed, b"\x17" + folder + b"\x00"


def make_7z(
    path: Path,
    name: str,
    content: bytes,
    *,
    dictionary: int = 1 << 20,
    says: int | None = None,
    header_in_headers: int = 0,
) -> Path:
    """A 7z of one file, whose dictionary may be larger than it needs, whose size it may not tell truly, and whose
    header may be packed several times."""
    body, number = lzma_stream(content), number_of_7z
    size = len(content) if says is None else says
    names = (name + "\0").encode("utf-16-le")
    header = b"\x01\x04" + _folder(len(body), 0, size, LZMA, lzma_props(dictionary), zlib.crc32(content)) + b"\x00"
    header += b"\x05" + number(1) + b"\x11" + number(len(names) + 1) + b"\x00" + names + b"\x00\x00"
    for _ in range(header_in_headers):
        body, header = pack_header(header, body)
    path.write_bytes(_container(body, header))
    return path


def make_7z_of_names(path: Path, names: Sequence[str]) -> Path:
    """A 7z of empty files with a packed header."""
    number, all_names = number_of_7z, ("\0".join(names) + "\0").encode("utf-16-le")
    empty = bytes([0xFF]) * (len(names) // 8) + bytes([(0xFF00 >> len(names) % 8) & 0xFF] if len(names) % 8 else [])
    header = b"\x01\x05" + number(len(names)) + b"\x0e" + number(len(empty)) + empty + b"\x0f" + number(len(empty))
    header += empty + b"\x11" + number(len(all_names) + 1) + b"\x00" + all_names + b"\x00\x00"
    path.write_bytes(_container(*pack_header(header)))
    return path


# gzip


def make_gzip_quine(path: Path) -> Path:
    """A gzip that unpacks to itself, after Russ Cox, "Zip Files All The Way Down"."""
    for letter in b"abcdefghijklmnopqrstuvwxyz":
        note = bytes([letter])
        crc = _fixpoint(lambda value, note=note: zlib.crc32(_quine(note, value)))  # type: ignore[misc]
        if crc is not None:
            path.write_bytes(_quine(note, crc))
            return path
    raise AssertionError("no checksum fits")


def _quine(note: bytes, crc: int) -> bytes:
    """The quine but for its checksum. Each instruction has five bytes, so they can quote each other."""

    def quote(size: int) -> bytes:
        return b"\0" + struct.pack("<2H", size, size ^ 0xFFFF)

    def repeat(size: int) -> bytes:
        distance = f"{8:05b}" + f"{size - 17:03b}"[::-1]
        bits = "010" + f"{10 - 2:07b}" + distance + f"{size - 10 - 2:07b}" + distance + "0000000"
        return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, 40, 8))

    start = b"\x1f\x8b\x08\x08\0\0\0\0\x02\x03" + note + b"\0"
    quote_start, repeat_start = quote(len(start) + 5), repeat(len(start) + 5)
    nothing, one, four, again = quote(0), quote(5), quote(20), repeat(20)

    def whole(size: int) -> bytes:
        end = b"\x01\0\0\xff\xff" + struct.pack("<2I", crc, size)
        quote_end, repeat_end = quote(len(end) + 5), repeat(len(end) + 5)
        parts = [start, quote_start, start, quote_start, repeat_start, one, repeat_start, one, one]
        parts += [four, repeat_start, one, one, four, again, *[four, again] * 4, nothing, nothing, quote_end]
        parts += [again, nothing, nothing, quote_end, repeat_end, end, repeat_end, end]
        return b"".join(parts)

    return whole(len(whole(0)))


def _fixpoint(checksum: Callable[[int], int]) -> int | None:
    """A value that is its own `checksum`, which has to be affine over bits, as every CRC is."""
    at_zero = checksum(0)
    rows = [0] * 32  # each has the coefficients of 32 bits, then what they have to come to
    for bit in range(32):
        column = checksum(1 << bit) ^ at_zero ^ (1 << bit)
        for row in range(32):
            rows[row] |= (column >> row & 1) << bit
    for row in range(32):
        rows[row] |= (at_zero >> row & 1) << 32
    for bit in range(32):
        pivot = next((row for row in range(bit, 32) if rows[row] >> bit & 1), None)
        if pivot is None:
            return None
        rows[bit], rows[pivot] = rows[pivot], rows[bit]
        for row in range(32):
            if row != bit and rows[row] >> bit & 1:
                rows[row] ^= rows[bit]
    return sum((rows[bit] >> 32) << bit for bit in range(32))


# tar


def tar_header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_member(name: str, content: bytes) -> bytes:
    return tar_header(name, size=len(content)) + padded(content)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def make_gzip_of(path: Path, pieces: Iterable[bytes]) -> Path:
    with gzip.open(path, "wb", 1) as file:
        for piece in pieces:
            file.write(piece)
    return path


def note_of_tar(kind: bytes, megabytes: int) -> Iterator[bytes]:
    """A tar with a note of so many MB to its first member: a long name, or attributes."""
    yield tar_header("note", kind, megabytes * len(ZEROS))
    for _ in range(megabytes):
        yield b"n" * len(ZEROS)
    yield tar_member("file", b"content") + bytes(1024)


def sparse_map_of_tar(blocks: int) -> Iterator[bytes]:
    """A tar whose sparse file has a map of so many blocks, each of which says that another one follows."""
    header = bytearray(tar_header("sparse", tarfile.GNUTYPE_SPARSE))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    yield bytes(header)
    block = (b"%011o\0" % 1 + b"%011o\0" % 1) * 21 + b"\1" + bytes(7)
    for _ in range(blocks // 2048):
        yield block * 2048


def sparse_map_in_pax(entries: int) -> Iterator[bytes]:
    """The same in the newer form, whose map stands before the content."""
    notes = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse", "GNU.sparse.realsize": "1"}
    info = tarfile.TarInfo("sparse")
    info.pax_headers, info.size = notes, 1 << 40
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield b"%d\n" % entries + b"1\n" * 1024
    for _ in range(entries // (1 << 19)):
        yield b"1\n" * (1 << 19)
