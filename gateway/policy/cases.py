"""The operator's own cases: facts as a text has them, and what the policy must say of them."""

from dataclasses import dataclass
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import Malformed
from gateway.ocm.address import authority
from gateway.policy.facts import Action, Facts, Verdict
from gateway.policy.language import MOST_BYTES, Bytes, Listed, Moment

_MOST_CASES = 10_000


class FactsText(BaseModel):
    """Facts as they are written; what is left out was not proven."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    server: str
    address: str = ""
    user: str = ""
    group: Listed | None = None
    path: str | None = None
    type: Literal["file", "folder", ""] = ""
    permissions: Listed | None = None
    protocol: Listed | None = None
    size: Bytes | None = None
    signed: Literal["rfc9421", "cavage", "none"] | None = None
    invited: bool | None = None
    mfa: bool | None = None
    capability: Listed | None = None
    pinned: bool | None = None
    exchanges: bool | None = None
    at: Moment = 0

    def value(self) -> Facts:
        """As the engine has them. Raises Malformed for what names no server."""
        return Facts(
            action=self.action,
            provider=authority(self.server),
            address=self.address,
            user=self.user,
            groups=frozenset(self.group or ()),
            path=self.path,
            resource_type=self.type,
            permissions=_set(self.permissions),
            protocols=_set(self.protocol),
            size=self.size,
            signed=self.signed,
            invited=self.invited,
            mfa=self.mfa,
            capabilities=_set(self.capability),
            pinned=self.pinned,
            exchanges=self.exchanges,
            at=self.at,
            settled=True,
        )


class _CaseText(FactsText):
    expect: Literal["allow", "quarantine", "deny"]
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Facts, the outcome that is expected of them, and the rule, if the case names one."""

    facts: Facts
    expect: str
    rule: str | None

    def met(self, verdict: Verdict) -> bool:
        """Whether a verdict is the expected one."""
        return verdict.outcome.word == self.expect and self.rule in (None, verdict.rule)


def read_facts(data: dict[str, Any]) -> Facts:
    """Facts from a mapping. Raises Malformed."""
    try:
        return FactsText.model_validate(data).value()
    except ValidationError as error:
        raise Malformed(f"the facts are wrong: {_said(error)}") from error


def read_cases(text: str) -> list[Case]:
    """The cases of a text in YAML or JSON: a list, or a mapping with `cases`. Raises Malformed."""
    if len(text) > MOST_BYTES:
        raise Malformed("the cases are too large")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise Malformed("the cases are not YAML", detail=str(error)[:300]) from error
    listed = data.get("cases") if isinstance(data, dict) else data
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_CASES:
        raise Malformed(f"the cases are no list of 1 to {_MOST_CASES}")
    return [_case(number, one) for number, one in enumerate(listed, 1)]


def _case(number: int, data: object) -> Case:
    try:
        read = _CaseText.model_validate(data)
        return Case(read.value(), read.expect, read.rule)
    except ValidationError as error:
        raise Malformed(f"case {number} is wrong: {_said(error)}") from error


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _set(values: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
