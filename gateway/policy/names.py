"""Who is meant: names of servers, one by one, by suffix, by pattern, by network.

    everyone                 every server there is
    cloud.example.org        that host, on every port
    cloud.example.org:8443   that host on that port
    *.example.org            every host below example.org, not example.org itself
    cloud-*.example.org      a pattern; * and ? stand for anything but a dot
    192.0.2.0/24             who calls from that network, and servers named by an address in it
    @partners                a named set
    dir:NAME                 the servers of a directory service
    all-below:org            what *.org would say, if it were not so easily written by mistake

A wildcard right below a public ending (`*`, `*.org`, `*.ac.uk`) is refused: a slip of the pen must
not open the door to half of the world.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.model import Authority
from gateway.ocm.address import authority

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYONE = "everyone"
_BELOW = "all-below:"
_PRIVATE_ENDINGS = frozenset(
    {"test", "example", "invalid", "localhost", "local", "internal", "lan", "home", "corp", "arpa"}
)
"""Endings that nobody can register a name under (RFC 2606, RFC 6761 and custom)."""
_SHARED_LABELS = frozenset(
    ("ac", "co", "com", "edu", "gob", "gouv", "gov", "go", "mil", "ne", "net", "nom", "or", "org")
)
"""Second labels under which countries register, as in ac.uk or com.br."""
_GLOB = re.compile(r"[a-z0-9.*?_-]+")


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern, and the plain labels at its end by which it is found."""

    text: str
    ending: str
    regex: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names, ready to be asked. `title` says whose list it is."""

    title: str = ""
    everyone: bool = False
    exact: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()
    globs: tuple[Glob, ...] = ()
    networks: tuple[Network, ...] = ()

    def find(self, provider: Authority, address: str = "") -> str | None:
        """The entry that covers a server that calls from `address`, if one does."""
        if self.everyone:
            return EVERYONE
        if provider in self.exact:
            return self._entry(provider)
        host = host_of(provider)
        if host in self.exact:
            return self._entry(host)
        for ending in endings(host) if self.suffixes else ():
            if ending in self.suffixes:
                return self._entry(f"*.{ending}")
        for glob in self.globs:
            if glob.regex.fullmatch(host):
                return self._entry(glob.text)
        for ip in addresses(host, address) if self.networks else ():
            for network in self.networks:
                if ip in network:
                    return self._entry(str(network))
        return None

    def near(self, provider: Authority) -> str | None:
        """An entry that would have covered the server, had it been written a little otherwise."""
        host = host_of(provider)
        if host in self.suffixes:
            return f"*.{host} covers what is below {host}, not {host} itself"
        with_port = f"{host}:"
        above = [one for one in parents(host) if one in self.exact]
        beside = [one for one in self.exact if one == host or one.startswith(with_port)]
        entry = min(above + beside, default=None)
        if entry is None:
            return None
        if entry in above:
            return f"{entry} does not cover hosts below it; *.{entry} would"
        return f"{entry} names another port"

    def _entry(self, name: str) -> str:
        return f"{name} in {self.title}" if self.title else name


def host_of(provider: Authority) -> str:
    """The host of host[:port]."""
    host, colon, port = provider.rpartition(":")
    return host if colon and port.isdigit() else provider


def parents(host: str) -> list[str]:
    """a.b.c -> b.c, c: what is behind each dot."""
    return [host[at + 1 :] for at, char in enumerate(host) if char == "."]


def endings(host: str) -> list[str]:
    """The domains that a host is below. An IP address has none."""
    if host[-1:] in "]0123456789":
        return []
    return parents(host)


def addresses(host: str, address: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The caller's address, and the one that a server is named by."""
    found = []
    for text in (address, host.strip("[]") if host[-1:] in "]0123456789" else ""):
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            continue
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        found.append(mapped or ip)
    return found


def references(entries: Iterable[str]) -> tuple[list[str], list[str]]:
    """The entries that name servers, and those that name sets and directories."""
    plain: list[str] = []
    named: list[str] = []
    for entry in entries:
        (named if entry.startswith(("@", "dir:")) else plain).append(entry)
    return plain, named


def parse_names(entries: Iterable[str], title: str = "") -> Names:
    """Names from their entries. Raises ValueError for one that names nobody, or too many."""
    everyone, exact, suffixes = False, set(), set()
    globs: list[Glob] = []
    networks: list[Network] = []
    for entry in entries:
        text = entry.strip()
        if text == EVERYONE:
            everyone = True
        elif text.startswith(_BELOW):
            suffixes.add(_plain(text.removeprefix(_BELOW)))
        elif text.startswith("*.") and not {"*", "?"} & set(text[2:]) and text[2:]:
            suffixes.add(_suffix(text))
        elif "*" in text or "?" in text:
            globs.append(_glob(text))
        elif "/" in text and "://" not in text:
            networks.append(_network(text))
        else:
            exact.add(_plain(text, port=True))
    return Names(
        title, everyone, frozenset(exact), frozenset(suffixes), tuple(globs), tuple(networks)
    )


def _plain(text: str, *, port: bool = False) -> str:
    try:
        name = authority(text)
    except Exception as error:
        raise ValueError(f"{text!r} names no server: {error}") from error
    if not port and host_of(name) != name:
        raise ValueError(f"{text!r} has a port; a suffix stands for every port")
    return name


def _suffix(text: str) -> str:
    suffix = _plain(text.removeprefix("*."))
    if too_wide(suffix):
        raise ValueError(f"{text!r} is too wide; write all-below:{suffix} if you mean it")
    return suffix


def too_wide(ending: str) -> bool:
    """Whether strangers to each other register names right below this ending."""
    *front, last = ending.split(".")
    if last in _PRIVATE_ENDINGS:
        return False
    return not front or (len(front) == 1 and len(last) == 2 and front[0] in _SHARED_LABELS)


def _glob(text: str) -> Glob:
    text = text.lower().removesuffix(".")
    if text.strip("*.?") == "":
        raise ValueError(f"{text!r} is too wide; write everyone if you mean it")
    if not _GLOB.fullmatch(text):
        raise ValueError(f"{text!r} is no pattern of host names (a port cannot be part of one)")
    labels = text.split(".")
    wild = [number for number, label in enumerate(labels) if set("*?") & set(label)]
    ending = ".".join(labels[wild[-1] + 1 :])
    if not ending or too_wide(ending) or "" in labels:
        raise ValueError(f"{text!r} is too wide: let a pattern end in a name such as .example.org")
    parts = {"*": "[^.]*", "?": "[^.]"}
    regex = "".join(parts.get(char, re.escape(char)) for char in text)
    return Glob(text, ending, re.compile(regex))


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text.removeprefix("net:"))
    except ValueError as error:
        raise ValueError(f"{text!r} is no network: {error}") from error
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} is too wide; write everyone if you mean it")
    return network
