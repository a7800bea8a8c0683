"""Captchas: a conversion asks, somebody who watches interactively answers."""

from typing import cast

import redis

from knossosd.tickets import keys

MAX_ANSWER = 200
"""Characters of an answer that are kept; no captcha has more."""

FORGET_ANSWERS = """
-- keys: record, answers; arguments: execution
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
return 1
"""
"""What was answered too late to an earlier question of the same execution is no answer to the next one."""


def answer(client: redis.Redis, ticket: int, text: str) -> bool:
    """Give `text` to the conversion that asks. False when it does not ask (any more)."""
    if not client.hget(keys.record(ticket), "question"):
        return False
    with client.pipeline() as pipe:
        pipe.rpush(keys.answers(ticket), text[:MAX_ANSWER])
        pipe.ltrim(keys.answers(ticket), -1, -1)
        pipe.expire(keys.answers(ticket), 60)
        pipe.execute()
    return True


def wait_for_answer(client: redis.Redis, ticket: int, seconds: float) -> str | None:
    """The next answer to the ticket's question; None when none came in `seconds`."""
    reply = cast(tuple[str, str] | None, client.blpop([keys.answers(ticket)], timeout=seconds))
    return reply[1] if reply else None
