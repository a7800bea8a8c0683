"""Outgoing requests: downloads and webhooks.

Every connection is made by the guard, one per hop of a redirect. TLS names and `Host` stay those of the link. No proxy
is taken from the environment, and nothing is followed or tried again unless the caller does so.
"""

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError, SSLError

from knossosd import __version__
from knossosd.conversion.guard import Guard
from knossosd.faults import Code, InputFault, RemoteFault
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


class WebClient:
    """Makes requests through `guard`. `idle_timeout` limits the silence between two pieces of an answer, in seconds."""

    def __init__(self, guard: Guard, *, connect_timeout: float, idle_timeout: float, max_redirects: int) -> None:
        self._max_redirects = max_redirects
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=idle_timeout)
        self._pools = urllib3.PoolManager(num_pools=32, maxsize=8, retries=False)
        self._pools.pool_classes_by_scheme = _guarded_pools(guard)

    @classmethod
    def for_downloads(cls, settings: Settings) -> Self:
        """The client for archives."""
        return cls(
            Guard(settings.trusted_hosts),
            connect_timeout=settings.connect_timeout,
            idle_timeout=settings.idle_timeout,
            max_redirects=settings.max_redirects,
        )

    @classmethod
    def for_webhooks(cls, settings: Settings) -> Self:
        """The client for webhooks."""
        timeout = settings.webhook_timeout
        return cls(Guard(settings.trusted_hosts), connect_timeout=timeout, idle_timeout=timeout, max_redirects=0)

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send one request; the answer's body is still to be read, and the answer to be closed.

        Raises `InputFault` when the link may not be asked, and `RemoteFault` when there is no answer.
        """
        try:
            url = check_link(url)
        except ValueError as error:
            raise InputFault(
                Code.ADDRESS_REFUSED, f"The link {url} {error}.", "Give a link to a public host."
            ) from error
        try:
            return self._pools.urlopen(
                method,
                url,
                headers={**HEADERS, **(headers or {})},
                body=body,
                timeout=self._timeout,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise broken(error) from error

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> tuple[Response, str]:
        """GET `url`, following redirects; returns the answer and the link that gave it.

        Raises what `request` raises, and `InputFault` after too many redirects.
        """
        for _ in range(self._max_redirects + 1):
            response = self.request("GET", url, headers=headers)
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or not location:
                return response, url
            response.close()
            url = urljoin(url, location)
        raise InputFault(
            Code.DOWNLOAD_FAILED,
            f"The link is redirected more than {self._max_redirects} times.",
            "Give a link to the file itself.",
        )


def broken(error: Exception) -> RemoteFault:
    """The fault of a connection that broke, in words for a modder."""
    reason: Any = error
    if isinstance(error, SSLError):
        reason = f"its certificate or encryption is not in order ({error})"
    elif isinstance(error, ReadTimeoutError | TimeoutError):
        reason = "the host has gone silent"
    elif isinstance(error, NewConnectionError):
        reason = "there is no connection"
    elif isinstance(error, HTTPError):
        reason = "the host broke the connection, or does not speak HTTP"
    return RemoteFault(Code.DOWNLOAD_FAILED, f"The download broke off: {reason}.", "Try again later, or another host.")


def _guarded_pools(guard: Guard) -> dict[str, Any]:
    class Guarded:
        # A host may close a connection just when it is used again, which would look like a failure of the next
        # request. So urllib3 is told that a connection that was used is of no more use.
        is_connected = False

        def _new_conn(self: Any) -> Any:
            timeout = self.timeout if isinstance(self.timeout, int | float) else None
            return guard.connect(self.host, self.port, timeout)

    class HTTPPool(HTTPConnectionPool):
        ConnectionCls = type("GuardedHTTP", (Guarded, HTTPConnection), {})

    class HTTPSPool(HTTPSConnectionPool):
        ConnectionCls = type("GuardedHTTPS", (Guarded, HTTPSConnection), {})

    return {"http": HTTPPool, "https": HTTPSPool}
