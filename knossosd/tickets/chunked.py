"""Uploads that come in parts, as everybody knows them; their bytes are `knossosd.conversion.parts`.

An upload takes parts while it is OPEN, in any order, and any of them again. When all are there and its submitter says
so it is FINISHING, until `knossosd.finishing` has read it; then it is DONE, or FAILED, or OPEN again for want of parts.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, cast

import redis

from knossosd.faults import Finding
from knossosd.settings import MIB, Settings
from knossosd.tickets import keys
from knossosd.tickets.connection import now_in_redis

PART_SIZE = 16 * MIB
MAX_PARTS = 4096
"""Parts of more than `PART_SIZE` bytes come when there would be more of them than this."""

ID_BYTES, TOKEN_BYTES = 8, 24

BEGIN = """
-- keys: record, what the owner announced; arguments: token, lifetime in seconds, id, prefix of all records,
-- announced sha256, then names and values of the record
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then return ARGV[3] end
if ARGV[5] ~= '' then
    local before = redis.call('GET', KEYS[2])
    local state = before and redis.call('HGET', ARGV[4] .. before, 'state')
    if state and state ~= 'FAILED' then return before end
    redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[2])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return ARGV[3]
"""

BEGIN_PART = """
-- keys: record, parts; arguments: number, sha256
if redis.call('HGET', KEYS[1], 'state') ~= 'OPEN' then return 'closed' end
if redis.call('HGET', KEYS[2], ARGV[1]) == ARGV[2] then return 'known' end
redis.call('HDEL', KEYS[2], ARGV[1])
return 'wanted'
"""

NOTE_PART = """
-- keys: record, parts, what the owner announced; arguments: number, sha256, lifetime in seconds
if redis.call('HGET', KEYS[1], 'state') ~= 'OPEN' then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
return 1
"""

FINISH = """
-- keys: record, parts, those that are being finished; arguments: id, now, lifetime in seconds
local record = redis.call('HMGET', KEYS[1], 'state', 'parts')
if record[1] ~= 'OPEN' or redis.call('HLEN', KEYS[2]) < tonumber(record[2]) then return 0 end
redis.call('HSET', KEYS[1], 'state', 'FINISHING', 'progress', '0', 'errors', '')
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
return 1
"""

SHOW = """
-- keys: record; arguments: progress
if redis.call('HGET', KEYS[1], 'state') == 'FINISHING' then redis.call('HSET', KEYS[1], 'progress', ARGV[1]) end
"""

END_WAIT = """
-- keys: record, those that are being finished; arguments: id
if redis.call('HGET', KEYS[1], 'state') ~= 'FINISHING' then redis.call('ZREM', KEYS[2], ARGV[1]) end
"""

END = """
-- keys: record, parts, those that are being finished; arguments: id, lifetime in seconds, damaged parts, then names and
-- values of the record
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('HGET', KEYS[1], 'state') ~= 'FINISHING' then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
for _, number in ipairs(cjson.decode(ARGV[3])) do redis.call('HDEL', KEYS[2], number) end
for index = 1, 2 do redis.call('EXPIRE', KEYS[index], ARGV[2]) end
return 1
"""


class ChunkedState(StrEnum):
    OPEN = "OPEN"
    FINISHING = "FINISHING"
    DONE = "DONE"
    FAILED = "FAILED"


class PartState(StrEnum):
    """How it is with a part that somebody wants to send."""

    CLOSED = "closed"  # the upload takes none any more
    KNOWN = "known"
    WANTED = "wanted"


@dataclass(frozen=True, slots=True)
class Chunked:
    """One upload in parts. `sha256` is what its submitter announced, if anything, and when it is DONE that of the file;
    then it has a `url`, too. `progress` runs from 0 to 1 while it is FINISHING."""

    id: str
    token: str
    owner: str
    filename: str
    size: int
    part_size: int
    parts: int
    state: ChunkedState = ChunkedState.OPEN
    sha256: str = ""
    progress: float = 0.0
    url: str = ""
    errors: tuple[dict[str, str], ...] = ()

    @classmethod
    def begin(cls, owner: str, filename: str, size: int, sha256: str = "") -> Self:
        """A new one, which has no part yet."""
        part_size = max(PART_SIZE, -(-size // MAX_PARTS // MIB) * MIB)
        parts = -(-size // part_size)
        upload, token = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        return cls(upload, token, owner, filename, size, part_size, parts, sha256=sha256)

    @classmethod
    def from_hash(cls, upload: str, fields: dict[str, str]) -> Self:
        """The upload whose record has these fields."""
        return cls(
            upload,
            fields["token"],
            fields["owner"],
            fields["filename"],
            int(fields["size"]),
            int(fields["part_size"]),
            int(fields["parts"]),
            ChunkedState(fields["state"]),
            fields["sha256"],
            float(fields.get("progress", 0)),
            fields.get("url", ""),
            tuple(json.loads(fields.get("errors") or "[]")),
        )

    def length_of(self, number: int) -> int:
        """The bytes of the part with this number, which counts from 0."""
        return min(self.part_size, self.size - number * self.part_size)


class ChunkedUploads:
    """All uploads in parts of one Redis. What is not touched for `PARTS_LIFETIME` is forgotten."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._lifetime = settings.parts_lifetime

    def begin(self, upload: Chunked) -> Chunked:
        """Record a new upload; returns the one that counts: of the same file, announced with its sha256 by the same
        owner, there is one only, so that whoever lost its id finds it again."""
        record = {
            "token": upload.token,
            "owner": upload.owner,
            "filename": upload.filename,
            "size": upload.size,
            "part_size": upload.part_size,
            "parts": upload.parts,
            "state": upload.state.value,
            "sha256": upload.sha256,
        }
        names = [keys.chunked(upload.id), _announced(upload)]
        arguments: list[Any] = [upload.token, self._lifetime, upload.id, keys.chunked(""), upload.sha256]
        arguments += [part for pair in record.items() for part in pair]
        found = cast(str, self._client.eval(BEGIN, len(names), *names, *arguments))
        return self.get(found) or upload

    def announced(self, upload: Chunked) -> Chunked | None:
        """The one that counts already in place of a new upload, if there is one."""
        found = cast(str | None, self._client.get(_announced(upload))) if upload.sha256 else None
        before = self.get(found) if found else None
        return before if before and before.state is not ChunkedState.FAILED else None

    def get(self, upload: str) -> Chunked | None:
        """The upload; None when there is none (any more)."""
        fields = cast(dict[str, str], self._client.hgetall(keys.chunked(upload)))
        return Chunked.from_hash(upload, fields) if "token" in fields else None

    def sent(self, upload: Chunked) -> dict[int, str]:
        """The parts that came: their sha256, by their numbers."""
        parts = cast(dict[str, str], self._client.hgetall(keys.parts(upload.id)))
        return {int(number): sha256 for number, sha256 in parts.items()}

    def begin_part(self, upload: Chunked, number: int, sha256: str) -> PartState:
        """What is to be done with a part that is about to come. When it is WANTED, what came of it before is void."""
        names = [keys.chunked(upload.id), keys.parts(upload.id)]
        return PartState(cast(str, self._client.eval(BEGIN_PART, len(names), *names, number, sha256)))

    def note_part(self, upload: Chunked, number: int, sha256: str) -> bool:
        """A part has come; False when the upload takes none any more."""
        names = [keys.chunked(upload.id), keys.parts(upload.id), _announced(upload)]
        return bool(self._client.eval(NOTE_PART, len(names), *names, number, sha256, self._lifetime))

    def finish(self, upload: Chunked) -> bool:
        """Let it be finished, and the caller then wakes somebody; False when parts are missing, or it is not OPEN."""
        names = [keys.chunked(upload.id), keys.parts(upload.id), keys.FINISHING]
        now = now_in_redis(self._client)
        return bool(self._client.eval(FINISH, len(names), *names, upload.id, now, self._lifetime))

    def finishing(self) -> list[str]:
        """Those that are to be finished, the longest wish first."""
        return cast(list[str], self._client.zrange(keys.FINISHING, 0, -1))

    def end_wait(self, upload: str) -> None:
        """Nobody need look any more whether it is to be finished, if it is not."""
        self._client.eval(END_WAIT, 2, keys.chunked(upload), keys.FINISHING, upload)

    def show(self, upload: Chunked, progress: float) -> None:
        """How far the finishing is."""
        self._client.eval(SHOW, 1, keys.chunked(upload.id), f"{progress:.3f}")

    def done(self, upload: str, url: str, sha256: str) -> bool:
        """It has its link. False when it was given up meanwhile."""
        return self._end(upload, {"state": ChunkedState.DONE, "url": url, "sha256": sha256, "progress": "1"})

    def failed(self, upload: str, error: Finding) -> bool:
        """It came to nothing."""
        return self._end(upload, {"state": ChunkedState.FAILED, "errors": json.dumps([error.as_json()])})

    def reopen(self, upload: str, damaged: Sequence[int], error: Finding) -> bool:
        """It was not finished, and may be once more, when its damaged parts have come again."""
        return self._end(upload, {"state": ChunkedState.OPEN, "errors": json.dumps([error.as_json()])}, damaged)

    def forget(self, upload: str) -> None:
        """Forget all about it."""
        with self._client.pipeline() as pipe:
            pipe.delete(keys.chunked(upload), keys.parts(upload))
            pipe.zrem(keys.FINISHING, upload)
            pipe.execute()

    def _end(self, upload: str, fields: dict[str, str], damaged: Sequence[int] = ()) -> bool:
        names = [keys.chunked(upload), keys.parts(upload), keys.FINISHING]
        numbers = json.dumps([str(number) for number in damaged])
        values = [part for pair in fields.items() for part in pair]
        return bool(self._client.eval(END, len(names), *names, upload, self._lifetime, numbers, *values))


def _announced(upload: Chunked) -> str:
    return keys.announced(upload.owner, upload.filename, upload.size, upload.sha256)
