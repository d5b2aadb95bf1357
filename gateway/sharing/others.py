"""Everything a role needs to deal with other OCM Servers, in one hand."""

from dataclasses import dataclass

from gateway.errors import Malformed, ProviderFailed, ProviderRefused
from gateway.model import Authority
from gateway.ocm import json
from gateway.policy.audit import Audit
from gateway.policy.doorkeeper import Doorkeeper
from gateway.providers.client import ProviderClient, Reply
from gateway.providers.dialects import Dialects
from gateway.providers.discovery import Discoveries
from gateway.providers.identity import Identity
from gateway.providers.registry import Registry
from gateway.transport import Guarded

PASSING_STATUSES = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Others:
    """Policy, discovery, dialects, registry, proof of identity, signed posts, the bare way out,
    and where it is written down what came of it."""

    doorkeeper: Doorkeeper
    discoveries: Discoveries
    identity: Identity
    client: ProviderClient
    guarded: Guarded
    dialects: Dialects
    registry: Registry
    audit: Audit


def expect_success(provider: Authority, reply: Reply) -> None:
    """Return for a 2xx; raise ProviderFailed for what may pass, ProviderRefused for a no.

    A redirect is a failure that may pass: a signed request is never sent elsewhere.
    """
    if 200 <= reply.status < 300:
        return
    said = spoken(reply.body)
    text = f"{provider} answered {reply.status}" + (f": {said}" if said else "")
    passing = reply.status < 400 or reply.status >= 500 or reply.status in PASSING_STATUSES
    if passing and reply.status != 501:
        raise ProviderFailed(text, retry_after=reply.retry_after_seconds)
    raise ProviderRefused(text, answered=reply.status)


def spoken(body: bytes) -> str:
    """What a JSON answer says of its status, shortened: its `message` or `error`, and the first
    of its `validationErrors`; empty when there is none."""
    try:
        members = json.load_object(body)
    except Malformed:
        return ""
    said = [next((members[name] for name in ("message", "error") if members.get(name)), "")]
    faults = members.get("validationErrors")
    if isinstance(faults, list) and faults and isinstance(faults[0], dict):
        said += [faults[0].get("name"), faults[0].get("message")]
    return ": ".join(text[:200] for text in said if isinstance(text, str) and text)
