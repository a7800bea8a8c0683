"""Which addresses this server may connect to.

Links come from strangers, so a link must not reach what only this machine or its network can reach. The name is
resolved once, every address it has must be global, and the connection goes to exactly an address that was checked: a
name server that changes its answer between two look-ups gains nothing. `TRUSTED_HOSTS` are exempt.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable

from knossosd.faults import Code, InputFault, RemoteFault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses of RFC 6052, which carry the IPv4 address that is really reached."""


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Guard:
    """Connects to global addresses, and to `trusted_hosts`: names, addresses, and networks such as 10.0.0.0/8."""

    def __init__(self, trusted_hosts: Iterable[str] = (), resolve: Resolver = system_resolver) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for trusted in trusted_hosts:
            try:
                self._networks.append(ipaddress.ip_network(trusted, strict=False))
            except ValueError:
                self._names.add(trusted.lower().rstrip("."))
        self._resolve = resolve

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """A connection to `host`, which is a name or an address.

        Raises `InputFault` (ADDRESS_REFUSED) when the host may not be reached, `RemoteFault` (DOWNLOAD_FAILED) when it
        cannot. `timeout` is in seconds, for each address that is tried.
        """
        reason = "it has no address"
        for address in self._permitted(host, port):
            try:
                return socket.create_connection((address, port), timeout)
            except OSError as error:
                reason = "it does not answer" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        raise RemoteFault(Code.DOWNLOAD_FAILED, f"There is no connection to {host}: {reason.lower()}.", "Is it online?")

    def _permitted(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise RemoteFault(
                Code.DOWNLOAD_FAILED, f"The host name {host} cannot be found.", "Check the spelling of the link."
            ) from error
        if host.lower().rstrip(".") not in self._names:
            for address in addresses:
                if not self._is_permitted(address):
                    raise InputFault(
                        Code.ADDRESS_REFUSED,
                        f"{host} is not a public host: its address is {address}.",
                        "Give a link that everybody can reach. Operators can allow hosts with TRUSTED_HOSTS.",
                    )
        return addresses

    def _is_permitted(self, text: str) -> bool:
        address = ipaddress.ip_address(text.partition("%")[0])
        return is_global(address) or any(
            address.version == network.version and address in network for network in self._networks
        )


def is_global(address: Address) -> bool:
    """Whether everybody can reach `address`, and the one inside it when it is a way to write another one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_global(inner)
    return address.is_global and not address.is_multicast
