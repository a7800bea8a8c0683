"""Which addresses this server may connect to.

Links come from strangers, so a link must not reach what only this machine or its network can reach. The name is
resolved once, every address it has must be global, and the connection goes to exactly an address that was checked: a
name server that changes its answer between two look-ups gains nothing. Ports other than those of the web belong to
programs that do not speak HTTP, and would take our words for theirs. `TRUSTED_HOSTS` are exempt from both.
"""

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable

from knossosd.faults import Code, InputFault, RemoteFault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses of RFC 6052, which carry the IPv4 address that is really reached."""

UNICAST = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given to hosts of the internet; the rest is local, a way to write IPv4, or nobody's."""

SPECIAL: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # of protocols; some clouds give out their machines' secrets there
    ipaddress.IPv6Network("2002::/16"),  # 6to4, tunnels to an IPv4 address that nobody would check
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)
"""What some versions of Python take for global, and is not."""

WEB_PORTS = (80, 443)
"""Where http and https are spoken unless a link says otherwise."""


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Guard:
    """Connects to the `ports` of global addresses, and to any port of `trusted_hosts`: names, addresses, and networks
    such as 10.0.0.0/8."""

    def __init__(
        self,
        trusted_hosts: Iterable[str] = (),
        ports: Collection[int] = WEB_PORTS,
        resolve: Resolver = system_resolver,
    ) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for trusted in trusted_hosts:
            try:
                self._networks.append(ipaddress.ip_network(trusted, strict=False))
            except ValueError:
                self._names.add(trusted.lower().rstrip("."))
        self._ports = ports
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
                self._check(host, address, port)
        return addresses

    def _check(self, host: str, text: str, port: int) -> None:
        address = ipaddress.ip_address(text.partition("%")[0])
        if is_in(address, self._networks):
            return
        if not is_global(address):
            raise InputFault(
                Code.ADDRESS_REFUSED,
                f"{host} is not a public host: its address is {text}.",
                "Give a link that everybody can reach. Operators can allow hosts with TRUSTED_HOSTS.",
            )
        if port not in self._ports:
            raise InputFault(
                Code.ADDRESS_REFUSED,
                f"Port {port} of {host} is not one of those that links may lead to.",
                "Give a link without a port. Operators can allow ports with ALLOWED_PORTS.",
            )


def is_global(address: Address) -> bool:
    """Whether everybody can reach `address`; of one that is a way to write another one, whether that can be reached."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_global(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return is_global(address.ipv4_mapped)
        if address not in UNICAST:
            return False
    return address.is_global and not address.is_multicast and not is_in(address, SPECIAL)


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether the address is in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)
