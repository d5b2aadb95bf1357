"""Which network addresses another server may be reached at: those of the public internet.

Asked when a socket is made, about the address that it is made for. So nothing that a name resolved
to before counts, and no spelling of an address gets by.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            # What `is_global` lets pass, or does in some releases of Python only.
            "0.0.0.0/8",
            "100.64.0.0/10",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "::/96",  # IPv4-compatible
            "::ffff:0:0:0/96",  # SIIT
            "64:ff9b:1::/48",  # NAT64 of a local network
            "100::/64",
            "100:0:0:1::/64",
            "2001:2::/48",
            "2001:db8::/32",
            "3fff::/20",
            "5f00::/16",
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",  # site-local
        ),
    )
)


def routable(address: str) -> bool:
    """Whether an IP address belongs to the public internet (RFC 6890 and the IANA registries).

    IPv4 addresses inside IPv6 ones are looked at themselves where they are mapped, or translated by
    6to4 or NAT64 (RFC 6052). Other wrappings, Teredo and zoned addresses are followed nowhere.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner and not ip.scope_id:
            return routable(str(inner))
        if ip.scope_id or ip.teredo:
            return False
    if any(ip.version == network.version and ip in network for network in _SPECIAL):
        return False
    return ip.is_global and not ip.is_multicast


_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/3",
            "::/128",
            "::ffff:0:0/96",  # IPv4 inside IPv6; a route says it plainly
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2002::/16",
            "fd00:ec2::254/128",  # a cloud's metadata, as 169.254.169.254
            "fe80::/10",
            "ff00::/8",
        ),
    )
)


PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
        ),
    )
)
"""What a server of the operator's own may have, where the configuration says that it is private."""


def admits_route(network: Network) -> bool:
    """Whether a route may lead to a network: none of this host's link, of groups, of a cloud's
    metadata, and none so wide that it holds such a one."""
    return not any(network.version == never.version and network.overlaps(never) for never in _NEVER)


@dataclass(frozen=True, slots=True)
class PrivateRoute:
    """A server (its Authority) that may also be reached at the addresses of one network."""

    provider: str
    network: Network


class PrivateRoutes:
    """The exceptions that the operator has written down, and nothing but them."""

    def __init__(self, routes: Iterable[PrivateRoute] = ()) -> None:
        self._networks: dict[str, list[Network]] = {}
        for route in routes:
            self._networks.setdefault(route.provider, []).append(route.network)

    def __contains__(self, provider: object) -> bool:
        return provider in self._networks

    def reach(self, provider: str, address: str) -> bool:
        """Whether a connection to that server may go to that address."""
        if routable(address):
            return True
        networks = self._networks.get(provider)
        if not networks:
            return False
        try:
            ip: _Address = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address):
            if ip.scope_id:
                return False
            ip = ip.ipv4_mapped or ip  # what the system connects to
        if _among(ip, _NEVER):
            return False
        return _among(ip, networks)


def _among(ip: _Address, networks: Iterable[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
