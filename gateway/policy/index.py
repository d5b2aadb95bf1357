"""Which rules mean a server, found without asking each of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from re import Pattern
from typing import TypeVar

from gateway.policy.facts import Action, Facts
from gateway.policy.names import Names, addresses, endings, host_of
from gateway.policy.rule import Rule

Numbers = tuple[int, ...]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Index:
    """Rules by number: by the names they list, or by action and user where they mean everyone."""

    exact: Mapping[str, Numbers]
    suffixes: Mapping[str, Numbers]
    globs: Mapping[str, tuple[tuple[Pattern[str], Numbers], ...]]
    networks: tuple[tuple[int, int, Mapping[int, Numbers]], ...]
    everyone: Mapping[Action, Numbers]
    everyone_of: Mapping[str, Numbers]

    def candidates(self, facts: Facts) -> set[int]:
        """The rules that may mean a server; exceptions are not looked at here."""
        provider = facts.provider
        host = host_of(provider)
        found = set(self.everyone.get(facts.action, ()))
        if self.everyone_of:
            if facts.user:
                found.update(self.everyone_of.get(facts.user, ()))
            else:
                found.update(*self.everyone_of.values())
        found.update(self.exact.get(provider, ()))
        if host != provider:
            found.update(self.exact.get(host, ()))
        for ending in endings(host) if self.suffixes or self.globs else ():
            found.update(self.suffixes.get(ending, ()))
            for regex, numbers in self.globs.get(ending, ()):
                if regex.fullmatch(host):
                    found.update(numbers)
        for ip in addresses(host, facts.address) if self.networks else ():
            for version, shift, of_prefix in self.networks:
                if ip.version == version:
                    found.update(of_prefix.get(int(ip) >> shift, ()))
        return found


def build(rules: Iterable[Rule]) -> Index:
    """The index of rules, numbered as they come. A list that many rules name is read once."""
    lists: dict[Names, list[int]] = {}
    everyone: dict[Action, list[int]] = {action: [] for action in Action}
    everyone_of: dict[str, list[int]] = {}
    for number, rule in enumerate(rules):
        if not any(names.everyone for names in rule.who):
            for names in rule.who:
                lists.setdefault(names, []).append(number)
        elif rule.users and not any({"*", "?", "["} & set(user) for user in rule.users):
            for user in rule.users:
                everyone_of.setdefault(user, []).append(number)
        else:
            for action in rule.reach:
                everyone[action].append(number)
    return _gathered(lists, _tuples(everyone), _tuples(everyone_of))


def _gathered(
    lists: Mapping[Names, list[int]],
    everyone: Mapping[Action, Numbers],
    everyone_of: Mapping[str, Numbers],
) -> Index:
    exact: dict[str, list[int]] = {}
    suffixes: dict[str, list[int]] = {}
    globs: dict[str, list[tuple[Pattern[str], Numbers]]] = {}
    networks: dict[tuple[int, int], dict[int, list[int]]] = {}
    for names, numbers in lists.items():
        for name in names.exact:
            exact.setdefault(name, []).extend(numbers)
        for ending in names.suffixes:
            suffixes.setdefault(ending, []).extend(numbers)
        for glob in names.globs:
            globs.setdefault(glob.ending, []).append((glob.regex, tuple(numbers)))
        for network in names.networks:
            shift = network.max_prefixlen - network.prefixlen
            of_prefix = networks.setdefault((network.version, shift), {})
            of_prefix.setdefault(int(network.network_address) >> shift, []).extend(numbers)
    return Index(
        _tuples(exact),
        _tuples(suffixes),
        {ending: tuple(found) for ending, found in globs.items()},
        tuple((version, shift, _tuples(found)) for (version, shift), found in networks.items()),
        everyone,
        everyone_of,
    )


def _tuples(gathered: Mapping[Key, list[int]]) -> dict[Key, Numbers]:
    """The same lists as tuples, equal ones once."""
    known: dict[Numbers, Numbers] = {}
    return {key: known.setdefault(tuple(found), tuple(found)) for key, found in gathered.items()}
