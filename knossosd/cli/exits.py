"""The exit codes of every verb, for scripts."""

from enum import IntEnum


class Exit(IntEnum):
    """What a verb ends with."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    UNREACHABLE = 3
    DENIED = 4
    INTERRUPTED = 130


class Stop(Exception):
    """The verb ends here: one sentence for people, and the exit code."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
