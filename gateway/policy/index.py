"""Which rules mean a server, found without asking each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from re import Pattern
from typing import TypeVar

from gateway.model import Authority
from gateway.policy.facts import Action, Facts
from gateway.policy.names import Names, addresses, endings, host_of, parents
from gateway.policy.rule import Rule

Numbers = tuple[int, ...]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Meant:
    """The rules whose lists have one entry in common, by number.

    `of_action` are those that name no users, by what they speak of; `of_user` the others, by user,
    and `of_users` all of these.
    """

    rules: Numbers
    of_action: Mapping[Action, Numbers]
    of_user: Mapping[str, Numbers]
    of_users: Numbers

    def of(self, facts: Facts) -> Numbers:
        """Those of them that name the user; all that name any, where the user is not known."""
        return self.of_user.get(facts.user, ()) if facts.user else self.of_users


@dataclass(frozen=True, slots=True)
class Index:
    """Rules by the names they list, and those that mean everyone. `ported`: by the hosts that they
    list with a port."""

    everyone: Meant
    exact: Mapping[str, Meant]
    suffixes: Mapping[str, Meant]
    globs: Mapping[str, tuple[tuple[Pattern[str], Meant], ...]]
    networks: tuple[tuple[int, int, Mapping[int, Meant]], ...]
    ported: Mapping[str, Numbers]

    def candidates(self, facts: Facts) -> set[int]:
        """The rules that may mean a server; exceptions are not looked at here.

        Those that mean everyone are left out where they speak of another action or user.
        """
        found = {*self.everyone.of_action.get(facts.action, ()), *self.everyone.of(facts)}
        for meant in self._meant(facts):
            found.update(meant.rules)
        return found

    def likely(self, facts: Facts) -> set[int]:
        """The candidates that may count: the others speak of another action or user."""
        action = facts.action
        found: set[int] = set()
        for meant in (self.everyone, *self._meant(facts)):
            found.update(meant.of_action.get(action, ()))
            if meant.of_users:
                found.update(meant.of(facts))
        return found

    def nearly(self, provider: Authority) -> set[int]:
        """The rules that list something that looks like the server (`Names.near`)."""
        host = host_of(provider)
        found = set(self.ported.get(host, ()))
        for name, listed in ((host, self.suffixes), *((one, self.exact) for one in parents(host))):
            if name in listed:
                found.update(listed[name].rules)
        return found

    def _meant(self, facts: Facts) -> list[Meant]:
        provider = facts.provider
        host = host_of(provider)
        exact = self.exact
        found = [exact[provider]] if provider in exact else []
        if host != provider and host in exact:
            found.append(exact[host])
        for ending in endings(host) if self.suffixes or self.globs else ():
            if ending in self.suffixes:
                found.append(self.suffixes[ending])
            for regex, meant in self.globs.get(ending, ()):
                if regex.fullmatch(host):
                    found.append(meant)
        for ip in addresses(host, facts.address) if self.networks else ():
            for version, shift, of_prefix in self.networks:
                if ip.version == version and (int(ip) >> shift) in of_prefix:
                    found.append(of_prefix[int(ip) >> shift])
        return found


def build(rules: Sequence[Rule]) -> Index:
    """The index of rules, numbered as they come. A list that many rules name is read once."""
    lists: dict[Names, list[int]] = {}
    everyone: list[int] = []
    for number, rule in enumerate(rules):
        if any(names.everyone for names in rule.who):
            everyone.append(number)
        else:
            for names in rule.who:
                lists.setdefault(names, []).append(number)
    exact: dict[str, list[int]] = {}
    suffixes: dict[str, list[int]] = {}
    globs: dict[str, list[tuple[Pattern[str], list[int]]]] = {}
    networks: dict[tuple[int, int], dict[int, list[int]]] = {}
    ported: dict[str, list[int]] = {}
    for names, numbers in lists.items():
        for name in names.exact:
            exact.setdefault(name, []).extend(numbers)
            if (host := host_of(Authority(name))) != name:
                ported.setdefault(host, []).extend(numbers)
        for ending in names.suffixes:
            suffixes.setdefault(ending, []).extend(numbers)
        for glob in names.globs:
            globs.setdefault(glob.ending, []).append((glob.regex, numbers))
        for network in names.networks:
            shift = network.max_prefixlen - network.prefixlen
            of_prefix = networks.setdefault((network.version, shift), {})
            of_prefix.setdefault(int(network.network_address) >> shift, []).extend(numbers)
    sorted_ = _Sorter(rules)
    return Index(
        sorted_.meant(everyone),
        sorted_.all(exact),
        sorted_.all(suffixes),
        {
            ending: tuple((regex, sorted_.meant(numbers)) for regex, numbers in found)
            for ending, found in globs.items()
        },
        tuple((version, shift, sorted_.all(found)) for (version, shift), found in networks.items()),
        {host: tuple(numbers) for host, numbers in ported.items()},
    )


class _Sorter:
    """Sorts rules by action and user; equal lists of them once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._known: dict[Numbers, Meant] = {}

    def all(self, gathered: Mapping[Key, list[int]]) -> dict[Key, Meant]:
        """Each of several lists."""
        return {key: self.meant(numbers) for key, numbers in gathered.items()}

    def meant(self, numbers: Iterable[int]) -> Meant:
        """One list."""
        key = tuple(numbers)
        if key not in self._known:
            self._known[key] = self._sorted(key)
        return self._known[key]

    def _sorted(self, numbers: Numbers) -> Meant:
        of_action: dict[Action, list[int]] = {}
        of_user: dict[str, list[int]] = {}
        of_users: list[int] = []
        for number in numbers:
            rule = self._rules[number]
            if rule.users is None or any({"*", "?", "["} & set(user) for user in rule.users):
                for action in rule.reach:
                    of_action.setdefault(action, []).append(number)
            else:
                of_users.append(number)
                for user in rule.users:
                    of_user.setdefault(user, []).append(number)
        return Meant(numbers, _tuples(of_action), _tuples(of_user), tuple(of_users))


def _tuples(gathered: Mapping[Key, list[int]]) -> dict[Key, Numbers]:
    return {key: tuple(numbers) for key, numbers in gathered.items()}
