"""Outgoing requests: downloads and webhooks.

Every connection is made by the guard, one per hop of a redirect. TLS names and `Host` stay those of the link. No proxy
is taken from the environment, nothing is followed or tried again unless the caller does so, and what one host gave us
to prove ourselves with, no other one gets. When the errand that a request belongs to is called off, its connection is
hung up, so that nobody waits for a host that has gone silent.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, ReadTimeoutError, SSLError
from urllib3.util import Url, parse_url

from knossosd import __version__
from knossosd.conversion.errand import Errand
from knossosd.conversion.guard import Guard
from knossosd.faults import Code, InputFault, RemoteFault, time_in_words
from knossosd.repo.urls import check_link
from knossosd.settings import Settings

Response = urllib3.BaseHTTPResponse

AGENT = f"knossosd/{__version__}"
HEADERS = {
    "User-Agent": AGENT,
    "Accept-Encoding": "identity",
    "Connection": "close",
}
REDIRECTS = {301, 302, 303, 307, 308}
CREDENTIALS = {"authorization", "cookie"}


@dataclass(frozen=True)
class WebClient:
    """Makes requests through `guard`, as a part of `errand`.

    Limits in seconds: `connect_timeout` for a connection, `idle_timeout` from there to the end of the headers and for
    the silence between two pieces of the body, `time_limit` for a request with its answer, all told.
    """

    guard: Guard
    connect_timeout: float
    idle_timeout: float
    max_redirects: int
    time_limit: float | None = None
    errand: Errand = field(default_factory=Errand)

    @classmethod
    def for_downloads(cls, settings: Settings) -> Self:
        """The client for archives."""
        return cls(
            Guard(settings.trusted_hosts, settings.allowed_ports),
            connect_timeout=settings.connect_timeout,
            idle_timeout=settings.idle_timeout,
            max_redirects=settings.max_redirects,
        )

    @classmethod
    def for_webhooks(cls, settings: Settings) -> Self:
        """The client for webhooks."""
        guard, limit = Guard(settings.trusted_hosts, settings.allowed_ports), settings.webhook_timeout
        return cls(guard, limit, limit, max_redirects=0, time_limit=limit)

    def on(self, errand: Errand) -> Self:
        """The same client, for requests that are a part of `errand`."""
        return replace(self, errand=errand)

    @contextmanager
    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[Response]:
        """Send one request; within the block, the answer's body can be read.

        Raises `InputFault` when the link may not be asked, `RemoteFault` when there is no answer or, as far as it is
        read, no whole one, and what the errand raises. An answer that is called off may look like one that ends.
        """
        parts = _parsed(url)
        with self._limited() as errand, ExitStack() as connections:
            try:
                with ExitStack() as answering:
                    answer = self._pool(parts, errand, connections, answering).urlopen(
                        method,
                        parts.request_uri,
                        headers={**HEADERS, **(headers or {})},
                        body=body,
                        timeout=urllib3.Timeout(connect=self.connect_timeout, read=self.idle_timeout),
                        retries=False,
                        redirect=False,
                        preload_content=False,
                        decode_content=False,
                    )
                    connections.enter_context(answer)
                errand.check()  # headers that were hung up look as if they were at their end
                yield answer
            except HTTPError as error:
                errand.check()
                raise _broken(error, self.idle_timeout) from error

    @contextmanager
    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Iterator[tuple[Response, str]]:
        """GET `url`, following redirects: the answer, as from `request`, and the link that gave it.

        Raises what `request` raises, and `InputFault` after too many redirects.
        """
        headers = headers or {}
        for _ in range(self.max_redirects + 1):
            with self.request("GET", url, headers=headers) as response:
                target = redirected(url, response)
                if target is None:
                    yield response, url
                    return
            headers, url = on_the_way(headers, url, target), target
        raise InputFault(
            Code.DOWNLOAD_FAILED,
            f"The link is redirected more than {self.max_redirects} times.",
            "Give a link to the file itself.",
        )

    def _limited(self) -> AbstractContextManager[Errand]:
        limit = self.time_limit
        if limit is None:
            return nullcontext(self.errand)
        return self.errand.limited(limit, lambda: _too_slow(limit))

    @contextmanager
    def _promptly(self, errand: Errand, line: socket.socket) -> Iterator[None]:
        """Hang up when the block takes longer than a host may be silent: headers may drip, and never be silent."""
        with errand.limited(self.idle_timeout, lambda: _too_slow(self.idle_timeout)) as answer:
            try:
                with answer.waking(lambda: _hang_up(line)):
                    yield
            finally:
                answer.check()  # not before nobody hangs up any more

    def _pool(self, url: Url, errand: Errand, connections: ExitStack, answering: ExitStack) -> HTTPConnectionPool:
        """What urllib3 makes a request with. Its connection lasts until `connections` are closed, or hung up, and waits
        for the headers until `answering` is closed."""

        def dial(host: str, port: int, timeout: float | None) -> socket.socket:
            connection = errand.apart(lambda: self.guard.connect(host, port, timeout), discard=socket.socket.close)
            connections.enter_context(connection)
            # TLS takes the connection over before it says hello, so it is hung up by a descriptor of our own.
            line = connections.enter_context(connection.dup())
            connections.enter_context(errand.waking(lambda: _hang_up(line)))
            answering.enter_context(self._promptly(errand, line))
            return connection

        kind, port = POOLS[url.scheme or ""]
        pool = kind(url.host or "", url.port or port, dial=dial)
        return connections.enter_context(pool)


def redirected(url: str, response: Response) -> str | None:
    """The link that the answer of `url` sends us to, if it does. Raises `InputFault` when that cannot be read."""
    location = response.headers.get("Location")
    return joined(url, location) if response.status in REDIRECTS and location else None


def joined(url: str, link: str) -> str:
    """Where `link` leads when it stands in what `url` gave. Raises `InputFault` when it cannot be read."""
    try:
        return urljoin(url, link)
    except ValueError as error:
        raise _no_link(link, "cannot be read") from error


def on_the_way(headers: Mapping[str, str], url: str, target: str) -> Mapping[str, str]:
    """The `headers` for `url` that `target` may get too: credentials are for those who gave them alone."""
    if _origin(url) == _origin(target):
        return headers
    return {name: value for name, value in headers.items() if name.lower() not in CREDENTIALS}


def host_of(link: str) -> str:
    """The host that a link leads to, however it is spelled, and its port unless that is the usual one.

    Raises `InputFault` when the link may not be asked.
    """
    url = _parsed(link)
    host = (url.host or "").removesuffix(".")
    _, usual = POOLS[url.scheme or ""]
    return host if url.port in (None, usual) else f"{host}:{url.port}"


def _origin(link: str) -> tuple[str | None, str]:
    return _parsed(link).scheme, host_of(link)


def _parsed(link: str) -> Url:
    try:
        return parse_url(check_link(link))
    except LocationParseError as error:
        raise _no_link(link, "has a host name that cannot be read") from error
    except ValueError as error:
        raise _no_link(link, str(error)) from error


def _no_link(link: str, reason: str) -> InputFault:
    return InputFault(Code.ADDRESS_REFUSED, f"The link {link} {reason}.", "Give a link to a public host.")


def _hang_up(line: socket.socket) -> None:
    """Wake whoever reads or writes, also by another descriptor of the same connection."""
    with suppress(OSError):  # the host was faster
        line.shutdown(socket.SHUT_RDWR)


class _Dialled:
    """A connection that is made with `dial`, a function of host, port and time limit."""

    def __init__(
        self, *arguments: Any, dial: Callable[[str, int, float | None], socket.socket], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._dial = dial

    def _new_conn(self: Any) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, int | float) else None
        connection: socket.socket = self._dial(self.host, self.port, timeout)
        return connection


class _HTTP(_Dialled, HTTPConnection):
    pass


class _HTTPS(_Dialled, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPS


POOLS: dict[str, tuple[type[HTTPConnectionPool], int]] = {"http": (_HTTPPool, 80), "https": (_HTTPSPool, 443)}
"""By the scheme of a link: the kind of pool, and the port where the link names none."""


def _broken(error: Exception, patience: float) -> RemoteFault:
    """The fault of a connection that broke, on which nobody was silent for longer than `patience`."""
    reason: Any = error
    if isinstance(error, SSLError):
        reason = f"its certificate or encryption is not in order ({error})"
    elif isinstance(error, ReadTimeoutError | TimeoutError):
        reason = f"the host was silent for {time_in_words(patience)}"
    elif isinstance(error, NewConnectionError):
        reason = "there is no connection"
    elif isinstance(error, HTTPError):
        reason = "the host broke the connection, or does not speak HTTP"
    return RemoteFault(
        Code.DOWNLOAD_FAILED, f"The connection broke off: {reason}.", "Try again later, or another host."
    )


def _too_slow(limit: float) -> RemoteFault:
    message = f"The host took longer than {time_in_words(limit)} to answer."
    return RemoteFault(Code.DOWNLOAD_TOO_SLOW, message, "Try again later, or another host.")
