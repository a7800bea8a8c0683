"""Who is at the other end of a connection, and how much one of them may have.

A proxy in front of this server speaks for many clients, and says in `X-Forwarded-For` for whom. Anybody can write that
header, so it is believed only of `TRUSTED_PROXIES`: each of them adds the address that it was asked from at the end, so
the client is the last one there that is no such proxy.
"""

import ipaddress
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from knossosd.conversion.guard import Address, is_in

log = logging.getLogger("knossosd.web")

HOUSEHOLD = 64
"""Bits of an IPv6 address that a provider gives to one customer, who has all addresses behind them."""


class Networks:
    """Addresses and networks, by their `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in names]

    def have(self, address: str) -> bool:
        """Whether `address` is one of them, or in one of them."""
        found = _parsed(address) if self._networks else None
        return found is not None and is_in(found, self._networks)


class Proxies(Networks):
    """The proxies that are trusted."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._is_warned = False

    def client(self, environ: Mapping[str, Any]) -> str:
        """The address of whoever made the request, as far as anybody who is trusted knows."""
        client = str(environ.get("REMOTE_ADDR", ""))
        forwarded = environ.get("HTTP_X_FORWARDED_FOR")
        if not forwarded:
            return client
        if not self.have(client):
            self._warn_of(client)
            return client
        for said in reversed(forwarded.split(",")):
            address = _parsed(said.strip())
            if address is None:
                break
            client = str(address)
            if not self.have(client):
                break
        return client

    def _warn_of(self, peer: str) -> None:
        """Say once what an operator has forgotten. Strangers send the header, too, but not from our own network."""
        address = _parsed(peer)
        if not self._is_warned and address is not None and address.is_private:
            self._is_warned = True
            log.warning(
                "requests come through %s, which is not in TRUSTED_PROXIES: all who come that way share their limits",
                peer,
            )


class Seats:
    """How many of something each address has; `most` of them are for one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken_by(self, address: str) -> Iterator[bool]:
        """Whether `address` may have one more, which it has as long as the block runs."""
        client = household(address)
        if self._taken[client] >= self._most:
            yield False
            return
        self._taken[client] += 1
        try:
            yield True
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


def household(address: str) -> str:
    """What stands for all addresses of one client: an IPv4 address, or the network of an IPv6 one."""
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(found), HOUSEHOLD), strict=False))
    return str(found or address)


def _parsed(text: str) -> Address | None:
    """The address that `text` is; IPv4 when it is that in another spelling."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
