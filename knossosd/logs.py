"""How every process logs: one JSON object a line on standard error, which the supervisor keeps and rotates.

    {"time": "2026-11-24T21:56:12.123Z", "level": "INFO", "logger": "knossosd.tasks", "message": "…",
     "ticket": 123, "process": "worker", "pid": 42, "trace": "Traceback …"}

`ticket` and `trace` stand in lines that have them. `python knossosd.py logs` shows the lines of all processes together.
"""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

ticket: ContextVar[int | None] = ContextVar("ticket", default=None)
"""The ticket that this thread or greenlet is busy with; set it with `about`, or for the whole process `devoted_to`."""

NAMED = re.compile(r"\bticket (\d{1,16})\b")
"""A line that is written for no ticket but names one is about that."""

MAX_TEXT = 20_000
"""Bytes of a message or a trace, as they are written: lines that do not fit into the pipe to the supervisor get mixed
with those of other processes."""

SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(/drop/\d+/)[^\s/?'\"]+"), r"\1…"),
    (re.compile(r"(?<=[^\s'\"<>])\?[^\s'\"<>]+"), "?…"),
    (re.compile(r"(\w://)[^\s/@'\"]+@"), r"\1…@"),
    (re.compile(r"(?i)\b(passwd|password|token|bearer|basic)(['\"]?[\s:=,]+['\"]?)[^\s'\",&]{12,}"), r"\1\2…"),
)
"""What must not stand in any line, and what stands there instead: permissions to upload, what follows a question mark,
credentials in links, and values that are called secret."""

_hidden: set[str] = set()
_devotion: int | None = None

log = logging.getLogger(__name__)


def set_up(program: str) -> None:
    """Log to standard error, from INFO on, as the process `program`; what nobody caught is logged as well.

    Called by whatever a process begins with, and again when a library has given its logger a handler of its own.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(os.environ.get("SUPERVISOR_PROCESS_NAME", program)))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("huey").handlers.clear()
    logging.getLogger("urllib3.connection").setLevel(
        logging.ERROR
    )  # a host's odd headers would be a traceback each time
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    sys.unraisablehook = _ignored
    threading.excepthook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)


def hide(secrets: Iterable[str]) -> None:
    """Let none of the `secrets` stand in any line from now on."""
    _hidden.update(secret for secret in secrets if secret)


@contextmanager
def about(number: int | None) -> Iterator[None]:
    """What this thread or greenlet logs meanwhile is about the ticket `number`."""
    before = ticket.set(number)
    try:
        yield
    finally:
        ticket.reset(before)


@contextmanager
def devoted_to(number: int | None) -> Iterator[None]:
    """What this process logs meanwhile is about the ticket `number`, in whatever thread.

    For processes that do one ticket at a time. Threads of a pool know nothing of the one who gave them their work.
    """
    global _devotion
    _devotion = number
    try:
        yield
    finally:
        _devotion = None


class _Lines(logging.Formatter):
    """The lines of the process `name`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        message = _clean(_message_of(record))
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "ticket": _ticket_of(message),
            "process": self._name,
            "pid": record.process,
            "trace": _clean(self.formatException(record.exc_info)) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in line.items() if value is not None})


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  the border: logging would write a trace of many lines
        return f"a line that cannot be written, of {record.pathname}:{record.lineno}: {type(error).__name__}"


def _ticket_of(message: str) -> int | None:
    current = ticket.get()
    if current is None:
        current = _devotion
    if current is None and (named := NAMED.search(message)):
        current = int(named[1])
    return current


def _clean(text: str) -> str:
    for secret in _hidden:
        text = text.replace(secret, "…")
    for secrets, instead in SECRETS:
        text = secrets.sub(instead, text)
    if len(text) <= MAX_TEXT and _width(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    first, last = text[:half], text[-half:]
    while _width(first) > half:
        first = first[: len(first) * half // _width(first)]
    while _width(last) > half:
        last = last[-(len(last) * half // _width(last)) :]
    return f"{first}… {len(text) - len(first) - len(last)} characters left out …{last}"


def _width(text: str) -> int:
    """The bytes that are written for it."""
    return len(json.dumps(text))


def _ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """What a destructor lets out: nobody can catch it, and nothing ends for it."""
    error = ignored.exc_value or ignored.exc_type()
    log.error("%s was ignored", ignored.exc_type.__name__, exc_info=(ignored.exc_type, error, ignored.exc_traceback))


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Instead of the interpreter's trace, which would be many lines."""
    if not issubclass(kind, SystemExit):
        log.critical("nobody caught %s", kind.__name__, exc_info=(kind, error or kind(), trace))
