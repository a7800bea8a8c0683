"""The connection to Redis or Valkey."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import MasterDownError
from redis.retry import Retry

from knossosd.settings import Settings
from knossosd.tickets import keys

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

BLOCK = 5.0
"""Seconds that a blocking read waits at most, well below the socket's time limit."""

SOCKET_TIMEOUT = 3 * BLOCK
RETRIES = 8
"""Tries of one command while the server is away: with the back-off below, about 20 s, a restart's time."""

CONNECTIONS = 50
"""Connections of one process. Who comes when all are in use waits for one: a crowd must not be sent away."""

PASSING = redis.OutOfMemoryError, redis.ReadOnlyError, MasterDownError
PASSING_CODES = "MISCONF", "NOREPLICAS", "BUSY"
"""Answers to a command that the server will take at another time; redis-py has no classes for the latter."""

TRIED_OUT = 30
"""Seconds of silence after which a connection that listens is tried out."""

GLANCE = 2.0
"""Seconds that somebody waits who only wants to know whether the server is there."""


def connect(settings: Settings, name: str) -> redis.Redis:
    """A client of the server that the settings name; no connection is made yet.

    `name` ("web", "worker"…) is how the connection shows in `CLIENT LIST`. Replies are decoded as UTF-8.
    """
    return redis.Redis(connection_pool=connection_pool(settings, name, decode_responses=True))


def connect_for_visitors(settings: Settings, name: str) -> redis.Redis:
    """A client like `connect`'s, for whom somebody waits: a server that is away is tried again as well, but one that
    hangs is given up after `SOCKET_TIMEOUT`, where a worker has patience for minutes."""
    return redis.Redis(connection_pool=_pool(settings, name, redis.ConnectionError, decode_responses=True))


def connect_to_listen(settings: Settings, name: str) -> redis.Redis:
    """A client like `connect`'s, for subscriptions. Who listens would never learn that the server's host is gone, so
    the connection is tried out when nothing comes. For commands that would do harm: a server whose disk is full refuses
    to be tried out, and still answers what it is asked."""
    pool = connection_pool(settings, name, decode_responses=True, health_check_interval=TRIED_OUT)
    return redis.Redis(connection_pool=pool)


def connect_once(settings: Settings, name: str) -> redis.Redis:
    """A client like `connect`'s, but each command is tried once, and has to be answered at a glance."""
    return redis.Redis.from_url(
        settings.redis_url,
        client_name=f"knossosd-{name}",
        socket_timeout=GLANCE,
        socket_connect_timeout=GLANCE,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def connection_pool(settings: Settings, name: str, **options: Any) -> redis.ConnectionPool:
    """The connections below `connect`, for libraries that make their own client. Replies stay bytes by default."""
    return _pool(settings, name, redis.ConnectionError, redis.TimeoutError, **options)


def _pool(settings: Settings, name: str, *tried_again: type[Exception], **options: Any) -> redis.ConnectionPool:
    return redis.BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=CONNECTIONS,
        timeout=SOCKET_TIMEOUT,
        client_name=f"knossosd-{name}",
        socket_timeout=SOCKET_TIMEOUT,
        socket_connect_timeout=SOCKET_TIMEOUT,
        retry=Retry(ExponentialBackoff(cap=5, base=0.1), RETRIES, tried_again),
        **options,
    )


def is_passing(error: redis.RedisError) -> bool:
    """Whether the server is to blame and not the command, which it may take later: it is away, its disk or its memory
    is full, or it follows another one."""
    if isinstance(error, redis.ResponseError):
        return isinstance(error, PASSING) or str(error).startswith(PASSING_CODES)
    return not isinstance(error, redis.DataError)


def patiently(
    what: str, step: Callable[[], Answer], pause: Callable[[], object], is_over: Callable[[], bool] = lambda: False
) -> Answer:
    """What `step` gives, as soon as Redis lets us take it: `pause` comes between two tries, and may raise to end them.

    Raises the `RedisError` when it does not pass, or `is_over` says that nobody waits any longer. The log says so
    once.
    """
    outage = Outage(what)
    while True:
        try:
            answer = step()
        except redis.RedisError as error:
            if not is_passing(error) or is_over():
                raise
            outage.tell(error)
            pause()
        else:
            outage.end()
            return answer


class Outage:
    """Tells the log once that `what` has to wait for Redis, however often that is tried, and once that it goes on."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_told = False

    def tell(self, error: redis.RedisError) -> None:
        """It cannot be done."""
        if not self._is_told:
            log.warning("%s has to wait for Redis: %s", self._what, error)
        self._is_told = True

    def end(self) -> None:
        """It was done."""
        if self._is_told:
            log.info("%s goes on, Redis answers again", self._what)
        self._is_told = False


def greet(client: redis.Redis) -> None:
    """Raises `RedisError` when the server does not answer. PING is refused when its disk is full, this never is."""
    client.info("server")


def reason(error: redis.RedisError) -> str:
    """What the error says, for a sentence with a full stop of its own."""
    return str(error).rstrip(".")


def refusal_of_writes(client: redis.Redis) -> str | None:
    """Why the server, which answers, takes nothing in; None when it does. Raises `RedisError` when it is away."""
    try:
        client.set(keys.PROBE, "", px=1000)
    except redis.ResponseError as error:
        return str(error)
    return None


def now_in_redis(client: redis.Redis) -> float:
    """The time by the clock that all hosts share, epoch seconds."""
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6
