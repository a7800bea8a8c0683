"""Reading a pipe ahead of whoever needs its content, so that the program at the other end need not wait."""

import os
import threading
import time
from collections import deque

PIECE = 1024 * 1024
"""Bytes per read, or a quarter of the room when that is less: large ones cost the least."""

DRIBBLE = 64 * 1024
"""Bytes below which a read is small: a program that unpacks small files writes each for itself."""

GATHER = 0.002
"""Seconds that the pipe is left to fill after a small read. It holds a megabyte, so the program does not wait, and the
threads of this process need not wake one another for every small file."""


class ReadAhead:
    """A thread that reads the file descriptor `source` until its end, at most `room` bytes ahead.

    Close it when the program at the other end has ended: only then is the thread sure to end as well.
    """

    def __init__(self, source: int, room: int) -> None:
        self._source = source
        self._room = room
        self._piece = max(DRIBBLE, min(PIECE, room // 4))
        self._pieces: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)
        self._thread.start()

    def next(self, timeout: float) -> bytes | None:
        """The next piece, b"" at the end, None when nothing comes within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._pieces or self._ended, timeout):
                return None
            if not self._pieces:
                return b""
            piece = self._pieces.popleft()
            self._room += len(piece)
            self._changed.notify_all()
            return piece

    def close(self) -> None:
        """Let go of what was read and not asked for: whoever still asks is told that this is the end."""
        with self._changed:
            self._pieces.clear()
            self._ended = self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _read(self) -> None:
        while True:
            piece = os.read(self._source, self._piece)
            with self._changed:
                if self._closed or not piece:
                    self._ended = True
                    self._changed.notify_all()
                    return
                self._pieces.append(piece)
                self._room -= len(piece)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._room >= self._piece or self._closed)
                if self._closed:
                    return
            if len(piece) < DRIBBLE:
                time.sleep(GATHER)
