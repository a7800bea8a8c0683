"""What a conversion tells, and may ask, while it runs.

The pipeline speaks to one `Observer` and does not know who listens: a ticket's event stream, a progress bar on a
terminal, or a test.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Level(StrEnum):
    """The levels of log lines, spelled as the old clients colour them."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Stage(StrEnum):
    """The stages of one archive, in order."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    INSPECTING = "inspecting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one archive is. `done` and `total` are bytes of the running stage; `rate` is bytes per second."""

    mod: str
    package: str
    file: str
    stage: Stage
    done: int = 0
    total: int | None = None
    rate: float = 0.0

    @property
    def fraction(self) -> float:
        """How much of the running stage is done, 0 to 1; 0 while the total is not known."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a whole conversion is: `fraction` is 0 to 1, `running` are the archives being worked on now."""

    fraction: float
    running: tuple[FileProgress, ...]

    @property
    def text(self) -> str:
        """One line per running archive, as the old clients show them: `" 42% name"`."""
        return "\n".join(f"{int(one.fraction * 100):3d}% {one.file}" for one in self.running)


class Measure(StrEnum):
    """What is measured of conversions, by the names of the counters: times in seconds, sizes in bytes, and how often.

    DOWNLOADING and INSPECTING are of one archive that had to be, PUBLISHING is of all of a conversion's.
    """

    DOWNLOADING = "downloading"
    INSPECTING = "inspecting"
    PUBLISHING = "publishing"

    DOWNLOADED = "downloaded_bytes"
    INSPECTED = "inspected_bytes"
    MIRRORED = "mirrored_bytes"

    LINK_UNCHANGED = "cache_lookups link hit"
    LINK_CHANGED = "cache_lookups link miss"
    CONTENT_STORED = "cache_lookups content hit"
    CONTENT_NEW = "cache_lookups content miss"
    FILE_KNOWN = "cache_lookups file hit"
    FILE_NEW = "cache_lookups file miss"
    MANIFEST_KNOWN = "cache_lookups manifest hit"
    MANIFEST_NEW = "cache_lookups manifest miss"


TIMES = {Measure.DOWNLOADING, Measure.INSPECTING, Measure.PUBLISHING}


class Cancelled(Exception):
    """The conversion was called off; raised by `Observer.check`."""


class Observer(Protocol):
    """Who watches one conversion. Every method may be called from several threads at once."""

    def log(self, level: Level, message: str) -> None:
        """Tell one line; every line reaches every watcher, in order."""

    def progress(self, snapshot: Snapshot) -> None:
        """Tell how far the conversion is; only the newest snapshot matters."""

    def finished(self, file: FileProgress) -> None:
        """Tell that one archive is done or has failed."""

    def measured(self, measure: Measure, amount: float) -> None:
        """Tell what something cost, or that it was saved; for those who watch the server, not the conversion."""

    def ask(self, image_url: str) -> str | None:
        """Show a captcha and wait, bounded, for the text that somebody types; None when nobody answers.

        A conversion that ends meanwhile does not wait for the answer.
        """

    def check(self) -> None:
        """Raise `Cancelled` when the conversion was called off. Called several times a second."""
