"""What the system lets 7-Zip take, in case an archive gets the better of it.

A shell sets the limits before it becomes 7-Zip: from a process with threads nothing else may run in between, and to
limit a program that already runs would come too late. Where a system does not know a limit, it has none.
"""

import math
from dataclasses import dataclass
from typing import Self

from knossosd.conversion.cores import Cores
from knossosd.settings import Settings

MAX_PROCESSES = 4096
"""Processes and threads of the user, because that is how systems count them: others of the same user's are in it, so
the number only has to end what multiplies without end. It does not hold for root."""

GRACE = 5
"""Seconds between the signal that tells why and the one that kills in any case."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """For one 7-Zip: bytes of memory, bytes of one file that it writes, seconds of processor time on all cores."""

    memory: float = math.inf
    file_size: float = math.inf
    cpu_time: float = math.inf

    @classmethod
    def from_settings(cls, settings: Settings, cores: Cores) -> Self:
        """The bounds that the settings describe, for a 7-Zip that may use so many cores."""
        return cls(
            memory=settings.sevenzip_memory,
            file_size=settings.max_member_size,
            cpu_time=settings.inspect_timeout * cores.count,
        )

    @property
    def script(self) -> str:
        """What a shell has to do. A limit that is tighter already stays as it is."""
        lines = ["ulimit -c 0", f"ulimit -u {MAX_PROCESSES} || ulimit -p {MAX_PROCESSES}"]
        if self.memory < math.inf:
            lines.append(f"ulimit -v {int(self.memory) // 1024}")
        if self.file_size < math.inf:
            # One block more, so that what is too large can be told from what just fits.
            lines.append(f"ulimit -f {int(self.file_size) // 512 + 1}")
        if self.cpu_time < math.inf:
            seconds = math.ceil(self.cpu_time)
            lines.append(f"ulimit -S -t {seconds}; ulimit -H -t {seconds + GRACE}")
        return "{ " + "; ".join(lines) + "; } 2>/dev/null"
