"""The language that rules are written in: YAML or JSON, checked once, all faults named together.

A document holds `allow` and `deny` (lists of names), `sets` (named lists), `groups` (named lists of
local users) and `rules`. Every key of a rule but id, then, limits and the comments is a condition;
all of them must hold, and a list means any of its entries. An empty list is a fault: it never
means everyone. The way the language is meant to be learnt is docs/policy.md.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from gateway.config import Misconfigured
from gateway.policy.facts import NO_LIMITS, Action, Limits, Outcome
from gateway.policy.names import Names, parse_names, references
from gateway.policy.rule import Hours, Rule
from gateway.policy.rules import Policy, compile_policy

MOST_BYTES = 4 << 20
MOST_RULES = 10_000
MOST_NAMES = 100_000
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ID = r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,99}"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}i": 1 << 10 * power for power, unit in enumerate("kmgt", 1)}
LOCAL, CENTRAL = 0, 1
"""Layers: what a local rule allows or holds sets aside what a central one says."""


class BadPolicy(Misconfigured):
    """A policy that cannot be used; `faults` says everything that is wrong with it."""

    status = 400
    code = "BAD_POLICY"


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,15})\s*([kmgt]i?|)b?", value.strip().lower())
    if not found:
        raise ValueError("is not a size such as 500MB or 2GiB")
    return int(found[1]) * _UNITS[found[2]]


def _moment(value: object) -> object:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, str):
        moment = datetime.fromisoformat(value)
    else:
        return value
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One text or a list of them, never an empty one."""
Bytes = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Moment = Annotated[int, BeforeValidator(_moment)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=False)


class LimitsText(_Text):
    """What is allowed, within what."""

    read_only: bool = False
    max_expiration_days: float | None = Field(default=None, gt=0)
    max_size: Bytes | None = None
    rate_per_minute: int | None = Field(default=None, ge=1)
    must_exchange: bool = False
    must_be_signed: bool = False
    must_be_invited: bool = False

    def value(self) -> Limits:
        """As the engine has it."""
        days = self.max_expiration_days
        found = Limits(
            self.read_only,
            None if days is None else int(days * 86_400),
            self.max_size,
            self.rate_per_minute,
            self.must_exchange,
            self.must_be_signed,
            self.must_be_invited,
        )
        return found or NO_LIMITS


class RuleText(_Text):
    """One rule as it is written."""

    id: str | None = Field(default=None, pattern=f"^{_ID}$")
    who: Listed
    but_not: Listed | None = Field(default=None, alias="except")
    action: Annotated[tuple[Action, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
        None
    )
    user: Listed | None = None
    group: Listed | None = None
    path: Listed | None = None
    type: (
        Annotated[
            tuple[Literal["file", "folder"], ...], BeforeValidator(_listed), Field(min_length=1)
        ]
        | None
    ) = None
    permissions: (
        Annotated[
            tuple[Literal["read", "write", "share"], ...],
            BeforeValidator(_listed),
            Field(min_length=1),
        ]
        | None
    ) = None
    protocol: Listed | None = None
    size_over: Bytes | None = None
    size_under: Bytes | None = None
    signed: (
        bool
        | Annotated[
            tuple[Literal["rfc9421", "cavage", "none"], ...],
            BeforeValidator(_listed),
            Field(min_length=1),
        ]
        | None
    ) = None
    invited: bool | None = None
    mfa: bool | None = None
    capability: Listed | None = None
    pinned: bool | None = None
    after: Moment | None = None
    before: Moment | None = None
    days: Listed | None = None
    hours: str | None = None
    then: Literal["allow", "quarantine", "deny"]
    limits: LimitsText = LimitsText()
    comment: str = Field(default="", max_length=1000)
    public_comment: str = Field(default="", max_length=300)

    @field_validator("days")
    @classmethod
    def _known_days(cls, days: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for day in days or ():
            _day_numbers(day)
        return days

    @field_validator("hours")
    @classmethod
    def _known_hours(cls, hours: str | None) -> str | None:
        if hours is not None:
            _minutes(hours)
        return hours

    @field_validator("path")
    @classmethod
    def _absolute(cls, paths: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for path in paths or ():
            if not path.startswith("/"):
                raise ValueError(f"{path!r} does not begin with a slash")
        return paths


class Document(_Text):
    """One text of rules. `default` stands in the configuration only, and in a shadow."""

    default: Literal["allow", "deny"] | None = None
    allow: tuple[str, ...] = Field(default=(), max_length=MOST_NAMES)
    deny: tuple[str, ...] = Field(default=(), max_length=MOST_NAMES)
    sets: dict[str, Annotated[tuple[str, ...], Field(max_length=MOST_NAMES)]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    rules: tuple[RuleText, ...] = Field(default=(), max_length=MOST_RULES)


@dataclass(frozen=True, slots=True)
class Source:
    """A document, what it is called in faults and ids, and its layer."""

    name: str
    document: Document
    layer: int = LOCAL


class _Loader(yaml.SafeLoader):
    """YAML in which a key stands once, since the second of two deny lists must not undo the first,
    and in which nothing stands for something else, since such texts can grow without bound."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As in YAML, without aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As in YAML, with each key once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        values = [self.construct_object(value, deep=deep) for _, value in node.value]
        return _once(zip(keys, values, strict=True))


def _once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise yaml.YAMLError(f"{key} stands twice")
        found[key] = value
    return found


def read_text(text: str, name: str) -> Document:
    """A document from YAML or JSON. Raises BadPolicy with all that is wrong."""
    if len(text) > MOST_BYTES:
        raise BadPolicy([f"{name}: more than {MOST_BYTES} bytes"])
    try:
        if text.lstrip().startswith("{"):
            data = json.loads(text, object_pairs_hook=_once)  # ten times as fast, for long lists
        else:
            data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadPolicy([f"{name}: is not YAML: {' '.join(str(error).split())[:300]}"]) from error
    if not isinstance(data, dict):
        raise BadPolicy([f"{name}: is not a mapping with allow, deny, sets, groups or rules"])
    return read_data(data, name)


def read_data(data: Mapping[str, Any], name: str) -> Document:
    """A document from a mapping. Raises BadPolicy."""
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        raise BadPolicy([_fault(name, item) for item in error.errors()]) from error


def _fault(name: str, item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"] if not str(part).startswith("function-"))
    text = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        text = "there is no such key"
    elif item["type"] == "missing":
        text = "is missing"
    elif item["type"] == "too_short":
        text = "is empty; leave it out, or write everyone, if it is meant to match all"
    return f"{name}: {where}: {text}" if where else f"{name}: {text}"


def build(
    default: Outcome,
    sources: Iterable[Source],
    directories: Mapping[str, Iterable[str]] = {},
) -> Policy:
    """The policy that several documents make together. Raises BadPolicy with all faults.

    A set of a local document is preferred to a central one of the same name. `directories` are the
    servers of each directory service that is followed.
    """
    sources = tuple(sources)
    writer = _Writer(sources, directories)
    rules = [rule for source in sources for rule in writer.rules(source)]
    twice = {rule.id for rule in rules if rule.id in writer.seen_twice}
    writer.faults += [f"the id {name} stands for two rules" for name in sorted(twice)]
    if writer.faults:
        raise BadPolicy(writer.faults)
    return compile_policy(default, rules)


class _Writer:
    """Turns texts into rules and gathers the faults on the way."""

    def __init__(self, sources: Sequence[Source], directories: Mapping[str, Iterable[str]]) -> None:
        self.faults: list[str] = []
        self.seen_twice: set[str] = set()
        self._seen: set[str] = set()
        self._sets: dict[str, Names] = {}
        for source in sorted(sources, key=lambda source: -source.layer):
            for name, entries in source.document.sets.items():
                self._sets[f"@{name}"] = self._names(f"{source.name}: sets.{name}", entries, name)
        for name, servers in directories.items():
            self._sets[f"dir:{name}"] = Names(f"the directory {name}", exact=frozenset(servers))

    def rules(self, source: Source) -> Iterable[Rule]:
        document = source.document
        for outcome in (Outcome.DENY, Outcome.ALLOW):
            entries = getattr(document, outcome.word)
            if entries:
                who = self._who(f"{source.name}: {outcome.word}", entries)
                yield self._noted(Rule(_id(source, outcome), outcome, who, layer=source.layer))
        for number, text in enumerate(document.rules):
            yield self._noted(self._rule(source, text, _place(source, number)))

    def _noted(self, rule: Rule) -> Rule:
        if rule.id in self._seen:
            self.seen_twice.add(rule.id)
        self._seen.add(rule.id)
        return rule

    def _rule(self, source: Source, text: RuleText, where: str) -> Rule:
        if text.then != "allow" and text.limits != LimitsText():
            self.faults.append(f"{where}: limits go with allow only")
        return Rule(
            id=text.id or where,
            outcome=Outcome[text.then.upper()],
            who=self._who(f"{where}.who", text.who),
            but_not=self._who(f"{where}.except", text.but_not or ()),
            actions=frozenset(text.action or Action),
            users=text.user,
            groups=_set(text.group),
            paths=tuple(_path(path) for path in text.path) if text.path else None,
            resource_types=_set(text.type),
            permissions=_set(text.permissions),
            protocols=_set(text.protocol),
            size_over=text.size_over,
            size_under=text.size_under,
            signed=_signed(text.signed),
            invited=text.invited,
            mfa=text.mfa,
            capabilities=_set(text.capability),
            pinned=text.pinned,
            hours=_hours(text),
            limits=text.limits.value(),
            layer=source.layer,
            comment=text.comment,
            public_comment=text.public_comment,
        )

    def _who(self, where: str, entries: Iterable[str]) -> tuple[Names, ...]:
        plain, named = references(entries)
        found = [self._names(where, plain)] if plain else []
        for name in named:
            if name in self._sets:
                found.append(self._sets[name])
            elif name.startswith("dir:"):
                # A directory that was not fetched yet has no servers; it must not stop the rest.
                found.append(Names(f"the directory {name[4:]}"))
            else:
                self.faults.append(f"{where}: there is no set {name}")
        return tuple(found)

    def _names(self, where: str, entries: Iterable[str], title: str = "") -> Names:
        good: list[str] = []
        for entry in entries:
            try:
                parse_names([entry])
            except ValueError as error:
                self.faults.append(f"{where}: {error}")
            else:
                good.append(entry)
        return parse_names(good, f"@{title}" if title else "")


def _id(source: Source, outcome: Outcome) -> str:
    """What the rule is called that a list of servers makes."""
    return outcome.word if source.name == "policy" else f"{outcome.word}@{source.name}"


def _place(source: Source, number: int) -> str:
    """What a rule without a name of its own is called."""
    return f"{source.name}.rules.{number}"


def written(sources: Iterable[Source]) -> dict[str, dict[str, Any]]:
    """The id of each rule, and what it asks as it is written."""
    found: dict[str, dict[str, Any]] = {}
    said = {"id", "then", "limits", "comment", "public_comment"}
    for source in sources:
        for outcome in (Outcome.DENY, Outcome.ALLOW):
            if entries := getattr(source.document, outcome.word):
                found[_id(source, outcome)] = {"who": list(entries)}
        for number, text in enumerate(source.document.rules):
            found[text.id or _place(source, number)] = text.model_dump(
                mode="json", by_alias=True, exclude_none=True, exclude=said
            )
    return found


def groups_of(sources: Iterable[Source]) -> dict[str, frozenset[str]]:
    """Local user -> the groups that the documents put them in."""
    found: dict[str, set[str]] = {}
    for source in sources:
        for group, users in source.document.groups.items():
            for user in users:
                found.setdefault(user, set()).add(group)
    return {user: frozenset(groups) for user, groups in found.items()}


def _signed(text: bool | tuple[str, ...] | None) -> frozenset[str] | None:
    if isinstance(text, bool):
        return frozenset({"rfc9421", "cavage"} if text else {"none"})
    return _set(text)


def _set(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _path(pattern: str) -> re.Pattern[str]:
    """A folder and all below it; * stands for anything within one name, ** for any number."""
    parts = re.split(r"(\*\*|\*|\?)", pattern.rstrip("/"))
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(wild.get(part, re.escape(part)) for part in parts)
    return re.compile(f"{regex}(/.*)?", re.DOTALL)


def _hours(text: RuleText) -> Hours | None:
    if (text.after, text.before, text.days, text.hours) == (None,) * 4:
        return None
    days = (
        frozenset(number for day in text.days for number in _day_numbers(day))
        if text.days
        else None
    )
    begin, end = _minutes(text.hours) if text.hours else (0, 0)
    return Hours(text.after, text.before, days, begin, end)


def _day_numbers(text: str) -> list[int]:
    first, _, last = text.lower().partition("-")
    if first not in _DAYS or (last or first) not in _DAYS:
        raise ValueError(f"{text!r} is no day such as mon, or mon-fri")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return [number % 7 for number in range(begin, end + 1 if begin <= end else end + 8)]


def _minutes(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", text)
    if not found:
        raise ValueError(f"{text!r} is not like 08:00-18:30 (UTC)")
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if begin == end or end > 1440:
        raise ValueError(f"{text!r} is not like 08:00-18:30 (UTC)")
    return begin, end
