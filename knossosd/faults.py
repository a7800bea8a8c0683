"""What can go wrong, as data: every fault has a code, a plain message, a hint and a place.

`Finding` is the data and is what the API, the log and the command line show; `Fault` carries one finding up the
call stack. Whose fault it is decides who hears what: `InputFault` is the mod's and is shown to the modder,
`RemoteFault` is a foreign host's and may pass with another try, `ServerFault` is ours and reaches the operator's log.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Code(StrEnum):
    """The stable names of faults and warnings. Programs compare them, so a code never changes its meaning.

    `docs/faults.md` explains each one to modders; a test fails when one is missing there.
    """

    # the document
    NOT_JSON = "not_json"
    INVALID_DOCUMENT = "invalid_document"
    DOCUMENT_TOO_LARGE = "document_too_large"
    CONVERSION_TOO_SLOW = "conversion_too_slow"
    UNKNOWN_FIELD = "unknown_field"
    VERSION_REWRITTEN = "version_rewritten"
    DEPENDENCY_WIDENED = "dependency_widened"
    TYPE_REWRITTEN = "type_rewritten"
    PARENT_REWRITTEN = "parent_rewritten"
    IMAGE_LEFT_OUT = "image_left_out"
    ENVIRONMENT_UNREADABLE = "environment_unreadable"
    ENVIRONMENT_MISSING = "environment_missing"
    FILENAME_REPEATED = "filename_repeated"

    # getting the archives
    ADDRESS_REFUSED = "address_refused"
    DOWNLOAD_FAILED = "download_failed"
    DOWNLOAD_TOO_LARGE = "download_too_large"
    DOWNLOAD_TOO_SLOW = "download_too_slow"
    HTML_INSTEAD_OF_ARCHIVE = "html_instead_of_archive"
    CAPTCHA_UNANSWERED = "captcha_unanswered"
    LOCAL_FILE_MISSING = "local_file_missing"
    CHECKSUM_CHANGED = "checksum_changed"
    LINK_LEFT_OUT = "link_left_out"
    UPLOAD_DAMAGED = "upload_damaged"

    # reading them
    ARCHIVE_UNREADABLE = "archive_unreadable"
    ARCHIVE_CORRUPT = "archive_corrupt"
    ARCHIVE_ENCRYPTED = "archive_encrypted"
    ARCHIVE_INCOMPLETE = "archive_incomplete"
    ARCHIVE_EMPTY = "archive_empty"
    ARCHIVE_TOO_LARGE = "archive_too_large"
    ARCHIVE_TOO_SLOW = "archive_too_slow"
    ARCHIVE_WARNING = "archive_warning"
    MEMBER_NAME_REFUSED = "member_name_refused"
    MEMBER_NAME_CHANGED = "member_name_changed"
    MEMBER_LEFT_OUT = "member_left_out"

    # laying out the files
    NOT_AN_ARCHIVE = "not_an_archive"
    FILE_REPLACED = "file_replaced"
    PATH_CONFLICT = "path_conflict"
    CASE_CONFLICT = "case_conflict"
    ACTION_WITHOUT_EFFECT = "action_without_effect"
    ACTION_FAILED = "action_failed"
    COPY_LEFT_OUT = "copy_left_out"
    MOD_INI_MOVED = "mod_ini_moved"
    PLACES_NOT_UNDERSTOOD = "places_not_understood"

    # ours
    MIRROR_FAILED = "mirror_failed"
    WEBHOOK_FAILED = "webhook_failed"
    SEVENZIP_FAILED = "sevenzip_failed"
    DISK_FULL = "disk_full"
    WORKER_VANISHED = "worker_vanished"
    TICKET_EXPIRED = "ticket_expired"
    INTERNAL = "internal"

    # somebody's wish
    CANCELLED = "cancelled"


OURS = {
    Code.MIRROR_FAILED,
    Code.SEVENZIP_FAILED,
    Code.DISK_FULL,
    Code.WORKER_VANISHED,
    Code.TICKET_EXPIRED,
    Code.INTERNAL,
}
"""What makes a conversion fail through no fault of the mod's. Once that is mended, it may be tried again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or warning: `message` says what is wrong in plain words, `hint` what to do about it.

    `mod`, `package` and `file` say where, as far as that is known: the mod's id, the package's name and the archive's
    file name from the document.
    """

    code: Code
    message: str
    hint: str = ""
    mod: str | None = None
    package: str | None = None
    file: str | None = None

    def at(self, *, mod: str | None = None, package: str | None = None, file: str | None = None) -> "Finding":
        """The same finding, with the places that it did not know yet filled in."""
        return replace(self, mod=self.mod or mod, package=self.package or package, file=self.file or file)

    def as_json(self) -> dict[str, str]:
        """`{code, message, hint?, mod?, package?, file?}`; what is not known is left out."""
        known = {
            "code": self.code.value,
            "message": self.message,
            "hint": self.hint,
            "mod": self.mod,
            "package": self.package,
            "file": self.file,
        }
        return {name: value for name, value in known.items() if value}

    def __str__(self) -> str:
        place = " / ".join(part for part in (self.mod, self.package, self.file) if part)
        sentence = f"{self.message} {self.hint}".strip()
        return f"{place}: {sentence}" if place else sentence


class Fault(Exception):
    """A finding on its way up. Raise one of the three kinds below, never this class itself."""

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.finding = Finding(code, message, hint)

    def __str__(self) -> str:
        return str(self.finding)


class InputFault(Fault):
    """The mod or its document is wrong; trying again without a change cannot help."""


class RemoteFault(Fault):
    """A foreign host failed us; another link or a later try may work."""


class ServerFault(Fault):
    """The fault is ours, or our machine's: the operator finds the details in the log."""


def time_in_words(seconds: float) -> str:
    """A time limit as faults tell it: "90 seconds", "5 minutes", "12 hours"."""
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds:g} seconds"
    return f"{round(seconds / 60, 1):g} minutes" if seconds < 7200 else f"{round(seconds / 3600, 1):g} hours"
