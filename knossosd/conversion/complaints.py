"""What 7-Zip complains about, in words for the modder whose archive it is."""

import re
import signal

from knossosd.conversion.disk import disk_full
from knossosd.conversion.sevenzip import Ended
from knossosd.faults import Code, Fault, InputFault, ServerFault

VOLUME_NAME = re.compile(r"\.(part\d+\.rar|r\d\d|z\d\d|(7z|zip|rar|tar|7z\.\w+)?\.?\d{3})$", re.IGNORECASE)
"""How the volumes of archives that were split are named."""

DAMAGE = re.compile(r"CRC Failed|Data Error|Headers Error|Unexpected end|Wrong password|Checksum")

PACK_AGAIN = "Pack and upload it again, and compare the size on the host with the one on your disk."


def encrypted(name: str) -> InputFault:
    """The fault of an archive that has a password."""
    return InputFault(Code.ARCHIVE_ENCRYPTED, f"{name} is protected with a password.", "Pack it without a password.")


def incomplete(name: str) -> InputFault:
    """The fault of an archive of which only a part was given."""
    return InputFault(
        Code.ARCHIVE_INCOMPLETE,
        f"{name} is one volume of an archive that was split.",
        "Join the volumes into one archive, and link to that one.",
    )


def empty(name: str) -> InputFault:
    """The fault of an archive without a file."""
    return InputFault(Code.ARCHIVE_EMPTY, f"{name} holds no file.", "Pack the files of the package into it.")


def unreadable(name: str) -> InputFault:
    """The fault of a file that is no archive."""
    return InputFault(
        Code.ARCHIVE_UNREADABLE,
        f"{name} is no archive that can be opened.",
        'Pack it as .7z or .zip. If it is meant to be a plain file, set "is_archive" to false.',
    )


def too_large(message: str, hint: str) -> InputFault:
    """The fault of an archive that is more than what is accepted."""
    return InputFault(Code.ARCHIVE_TOO_LARGE, message, hint)


def too_slow(name: str, limit: str) -> InputFault:
    """The fault of an archive whose reading has no end; `limit` says how long it may take."""
    return InputFault(
        Code.ARCHIVE_TOO_SLOW,
        f"Reading {name} took {limit}.",
        "Split it into several archives, or pack it with less memory.",
    )


def is_damage(ended: Ended) -> bool:
    """Whether 7-Zip found that the content is not what was packed."""
    return bool(DAMAGE.search(ended.complaints))


def explain(ended: Ended, remarks: list[str], name: str) -> Fault:
    """The fault that made 7-Zip end with an error, by its messages and the listing's `remarks`."""
    said = "\n".join([ended.complaints, *remarks])
    if ended.code == -signal.SIGXCPU:
        return too_slow(name, "more processor time than is allowed")
    if re.search(r"Can't allocate required memory", said):
        return too_large(
            f"{name} cannot be unpacked with as much memory as is accepted.",
            "Pack it with a smaller dictionary: 64 MB are enough for every mod.",
        )
    if re.search(r"encrypted archive|Wrong password", said):
        return encrypted(name)
    if re.search(r"Missing volume", said) or (ended.code > 0 and VOLUME_NAME.search(name)):
        return incomplete(name)
    if re.search(r"No space left|Disk quota exceeded|File too large", said):
        return disk_full()
    if re.search(r"not enough memory|temporarily unavailable|E_FAIL", said) or ended.code not in (
        0,
        1,
        2,
        -signal.SIGXFSZ,
    ):
        return ServerFault(
            Code.SEVENZIP_FAILED, f"7-Zip failed over {name} ({_first_line(said)}).", "This is not your mod's fault."
        )
    if re.search(r"Unexpected end", said):
        return InputFault(Code.ARCHIVE_CORRUPT, f"{name} ends too early: a part of it is missing.", PACK_AGAIN)
    if DAMAGE.search(said):
        return InputFault(Code.ARCHIVE_CORRUPT, f"{name} is damaged.", PACK_AGAIN)
    if re.search(r"data after the end", said):
        return InputFault(Code.ARCHIVE_CORRUPT, f"{name} has something else behind its end.", PACK_AGAIN)
    if re.search(r"Unsupported Method", said):
        return InputFault(
            Code.ARCHIVE_UNREADABLE, f"{name} is packed with a method that 7-Zip does not know.", "Pack it as .7z."
        )
    if ended.code == -signal.SIGXFSZ:
        return too_large(f"{name} holds a file that is larger than what is accepted.", "Split the file.")
    return unreadable(name)


def _first_line(said: str) -> str:
    return next((line.strip() for line in said.splitlines() if line.strip()), "it gave no reason")
