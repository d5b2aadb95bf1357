"""The records as people and scripts read them. Secrets are not among their fields."""

import time
from collections.abc import Sequence
from typing import Any

from gateway.model import (
    AccessLine,
    Contact,
    KeyState,
    News,
    OutboxEntry,
    Provider,
    ProviderKey,
    ReceivedShare,
    Request,
    SentInvite,
    SentRequest,
    SentShare,
    Session,
    ShareType,
)
from gateway.ocm.discovery import Discovery, encode
from gateway.policy.lists import Preview
from gateway.policy.verifying import Verification
from gateway.probes.trials import Trial
from gateway.providers.directories import DirectoryState
from gateway.providers.importing import Change
from gateway.providers.ring import OwnKey
from gateway.sharing.contacts import Taken
from gateway.sharing.recipients import Recipient
from gateway.sharing.reviewing import Held
from gateway.store.policies import Listing, Version


def sent(share: SentShare) -> dict[str, Any]:
    """A Share that we sent, as JSON."""
    return {
        "id": share.provider_id,
        "state": share.state.value,
        "reason": share.reason,
        "owner": share.owner,
        "path": "/" + "/".join(share.resource),
        "resourceType": share.resource_type.value,
        "shareType": share.share_type.value,
        "shareWith": share.share_with,
        "receivingServer": share.receiving_server,
        "permissions": sorted(share.permissions),
        "mustExchangeToken": share.must_exchange_token,
        "mustUseMfa": share.must_use_mfa,
        "createdAt": share.created_at,
        "expiration": share.expiration_at,
        "endedAt": share.ended_at,
        "description": share.description,
    }


def access(one: AccessLine) -> dict[str, Any]:
    """A line of the access log of a Share that we sent, as JSON."""
    return {
        "share": one.share,
        "server": one.provider,
        "kind": one.kind.value,
        "path": one.path,
        "firstAt": one.first_at,
        "lastAt": one.last_at,
        "times": one.times,
        "bytes": one.bytes,
    }


def visit(share_with: str, asked_at: int) -> dict[str, Any]:
    """Who asked by a public link and when, as JSON."""
    return {"shareWith": share_with, "askedAt": asked_at}


def public_link(provider_id: str, url: str | None, on: bool) -> dict[str, Any]:
    """Whether a Share has a public link, as JSON, and the link while it is known."""
    return {"providerId": provider_id, "on": on, "link": url}


def news(one: News) -> dict[str, Any]:
    """What somebody is still to be told, as JSON."""
    return {
        "id": one.id,
        "way": one.way.value,
        "type": one.kind.value,
        "user": one.user,
        "who": one.who,
        "what": one.what,
        "about": one.about,
        "at": one.at,
        "attempts": one.attempts,
        "nextAttemptAt": one.next_attempt_at,
    }


def received(share: ReceivedShare) -> dict[str, Any]:
    """A Share that we received, as JSON."""
    return {
        "id": share.id,
        "state": share.state.value,
        "providerId": share.provider_id,
        "sendingServer": share.sending_server,
        "recipient": share.recipient,
        "group": share.group or None,
        "dead": share.dead,
        "name": share.name,
        "folder": share.folder,
        "resourceType": share.resource_type.value,
        "owner": share.owner,
        "sender": share.sender,
        "senderDisplayName": share.sender_display_name,
        "ownerDisplayName": share.owner_display_name,
        "description": share.description,
        "permissions": sorted(share.permissions),
        "mustExchangeToken": share.must_exchange_token,
        "mustUseMfa": share.must_use_mfa,
        "hidden": share.hidden,
        "receivedAt": share.received_at,
        "expiration": share.expiration_at,
        "endedAt": share.ended_at,
    }


def offered(share: ReceivedShare, *, known: bool) -> dict[str, Any]:
    """The same, with whether its recipient knows who sent it."""
    return received(share) | {"senderIsContact": known}


def request(one: Request) -> dict[str, Any]:
    """What somebody asks a local user to share, as JSON."""
    return {
        "id": one.id,
        "state": one.state.value,
        "owner": one.owner,
        "shareWith": one.share_with,
        "askedBy": one.provider,
        "path": "/" + "/".join(one.resource),
        "aboutShare": one.about,
        "createdAt": one.created_at,
        "decidedAt": one.decided_at,
        "share": one.share,
    }


def sent_request(one: SentRequest) -> dict[str, Any]:
    """What a local user asked somebody to share, as JSON."""
    return {
        "id": one.id,
        "state": one.state.value,
        "reason": one.reason,
        "user": one.user,
        "owner": one.owner,
        "share": one.share,
        "createdAt": one.created_at,
    }


def invite(one: SentInvite, invite_string: str, link: str) -> dict[str, Any]:
    """An Invite of a local user, as JSON; it is made to be passed on, so its string is in it."""
    return {
        "id": one.id,
        "state": one.state.value,
        "sender": one.sender,
        "inviteString": invite_string,
        "link": link,
        "note": one.note,
        "email": one.email,
        "createdAt": one.created_at,
        "expiration": one.expiration_at,
        "acceptedAt": one.accepted_at,
        "acceptedBy": one.accepted_by,
        "mailedAt": one.mailed_at,
    }


def contact(one: Contact) -> dict[str, Any]:
    """A contact, as JSON."""
    return {
        "id": one.id,
        "user": one.user,
        "address": one.address,
        "userID": one.user_id,
        "provider": one.provider,
        "name": one.name,
        "label": one.label,
        "email": one.email,
        "source": one.source.value,
        "trusted": one.trusted,
        "addedAt": one.added_at,
    }


def taken(one: Taken) -> dict[str, Any]:
    """What came of an import of contacts, as JSON."""
    return {"contacts": [contact(kept) for kept in one.contacts], "leftOut": one.left_out}


def session(one: Session) -> dict[str, Any]:
    """A browser that is logged in, as JSON."""
    return {
        "id": one.id,
        "user": one.user,
        "displayName": one.display_name,
        "method": one.method.value,
        "createdAt": one.created_at,
        "seenAt": one.seen_at,
        "expiresAt": one.expires_at,
        "strong": one.strong,
        "agent": one.agent,
    }


def session_line(one: Session) -> str:
    """A browser that is logged in, in a line."""
    return f"{one.id}  {one.user}  {one.method.value}  {moment(one.seen_at)}  {one.agent}"


def imported(done: Sequence[Change], *, applied: bool) -> dict[str, Any]:
    """What a list of servers changed, or would, as JSON."""
    changed = [one for one in done if one.changes]
    return {
        "changes": [_imported(one) for one in changed],
        "unchanged": len(done) - len(changed),
        "applied": applied,
    }


def _imported(change: Change) -> dict[str, Any]:
    return {
        "authority": change.entry.authority,
        "before": change.before.value if change.before else None,
        "standing": change.standing.value,
        "comment": change.comment if change.entry.comment is None else change.entry.comment,
        "pinned": list(change.new_pins),
    }


def directory_(state: DirectoryState) -> dict[str, Any]:
    """A Directory Service and its servers, as JSON."""
    return {
        "name": state.name,
        "url": state.url,
        "signed": state.signed,
        "federation": state.federation,
        "servers": [
            {"url": server.url, "displayName": server.display_name} for server in state.servers
        ],
        "fetchedAt": state.fetched_at,
        "triedAt": state.tried_at,
        "error": state.error,
    }


def errand(entry: OutboxEntry) -> dict[str, Any]:
    """An errand in the outbox, as JSON."""
    return {
        "id": entry.id,
        "errand": entry.errand.value,
        "share": entry.share,
        "provider": entry.provider,
        "createdAt": entry.created_at,
        "nextAttemptAt": entry.next_attempt_at,
        "attempts": entry.attempts,
        "lastError": entry.last_error,
        "givenUp": entry.dead,
    }


def server(provider: Provider) -> dict[str, Any]:
    """Another server, as JSON."""
    return {
        "authority": provider.authority,
        "standing": provider.standing.value,
        "source": provider.source.value,
        "firstSeenAt": provider.first_seen_at,
        "lastSeenAt": provider.last_seen_at,
        "scheme": provider.scheme.value,
        "ourScheme": provider.our_scheme.value,
        "dialect": provider.dialect,
        "apiVersion": provider.api_version,
        "capabilities": list(provider.capabilities),
        "comment": provider.comment,
        "failures": provider.failures,
        "failingSinceAt": provider.failing_since_at,
        "pausedUntil": provider.paused_until,
        "lastError": provider.last_error,
    }


def trial(one: Trial) -> dict[str, Any]:
    """A test of another server, as JSON; `ok` is null until it has ended."""
    return {
        "server": one.provider,
        "by": one.by,
        "beganAt": one.began_at,
        "endedAt": one.ended_at or None,
        "ok": not one.failed_at if one.ended_at else None,
        "failedAt": one.failed_at or None,
        "findings": [
            {
                "check": step.check,
                "result": step.result.value,
                "message": step.message,
                "advice": step.advice,
            }
            for step in one.findings
        ],
    }


def server_key(key: ProviderKey) -> dict[str, Any]:
    """A key of another server, as JSON."""
    return {
        "thumbprint": key.thumbprint,
        "kid": key.kid,
        "algorithm": key.algorithm,
        "standing": key.standing.value,
        "firstSeenAt": key.first_seen_at,
        "lastSeenAt": key.last_seen_at,
    }


def own_key(own: OwnKey) -> dict[str, Any]:
    """A key of this server, as JSON."""
    return {
        "kid": own.key.kid,
        "algorithm": own.key.algorithm,
        "state": own.state.value,
        "active": own.state is KeyState.ACTIVE,
        "createdAt": own.created_at,
        "changedAt": own.changed_at,
        "thumbprint": own.key.verification_key().thumbprint,
        "jwk": own.key.public_jwk(),
    }


def either(share: SentShare | ReceivedShare) -> dict[str, Any]:
    """A Share that goes or came, as JSON."""
    return sent(share) if isinstance(share, SentShare) else received(share)


def held(found: Held) -> dict[str, Any]:
    """What is held for review, as JSON."""
    return {
        "received": [received(one) for one in found.received],
        "sent": [sent(one) for one in found.sent],
    }


def verification(found: Verification) -> dict[str, Any]:
    """What a look at the whole audit trail has found, as JSON."""
    return {
        "sound": found.damaged is None,
        "entries": found.entries,
        "first": found.first,
        "last": found.last,
        "damaged": found.damaged,
        "fault": found.fault,
    }


def recipient(seen: Recipient) -> dict[str, Any]:
    """What can be said of an address before sharing, as JSON."""
    return {
        "address": seen.address,
        "server": seen.provider,
        "known": seen.known,
        "product": seen.product,
        "signs": seen.signs,
        "exchangesTokens": seen.exchanges_tokens,
        "wantsInvite": seen.wants_invite,
        "mayDemandMfa": seen.demands_mfa,
        "mayDemandExchange": seen.demands_exchange,
        "takesGroups": seen.takes_groups,
        "readOnly": seen.read_only,
        "longestDays": seen.longest_days,
        "problem": seen.problem,
    }


def found(document: Discovery) -> dict[str, Any]:
    """A discovery document, in the members of this generation."""
    return encode(document)


def sent_line(share: SentShare) -> str:
    """A Share that we sent, in a line."""
    group = " (a group)" if share.share_type is ShareType.GROUP else ""
    path = "/" + "/".join(share.resource)
    until = f", until {moment(share.expiration_at)}" if share.expiration_at else ""
    why = f" ({share.reason})" if share.reason else ""
    rights = " ".join(sorted(share.permissions))
    return (
        f"{share.provider_id}  {share.state.value:9}  {share.owner}:{path} -> {share.share_with}"
        f"{group}  [{rights}{until}]{why}"
    )


def access_line(one: AccessLine) -> str:
    """A line of the access log, in a line."""
    size = f", {one.bytes} bytes" if one.bytes else ""
    path = f" /{one.path}" if one.path else ""
    times = f"{one.times} times" if one.times > 1 else "once"
    return f"{moment(one.last_at)}  {one.provider}  {one.kind.value}{path}  {times}{size}"


def received_line(share: ReceivedShare) -> str:
    """A Share that we received, in a line."""
    group = f" (of {share.group})" if share.group else ""
    rights = " ".join(sorted(share.permissions))
    return (
        f"{share.id}  {share.state.value:9}  {share.folder} for {share.recipient}{group}"
        f"  from {share.sender}  [{rights}]" + ("  hidden" if share.hidden else "")
    )


def request_line(one: Request) -> str:
    """What somebody asks a local user to share, in a line."""
    path = "/" + "/".join(one.resource)
    return (
        f"{one.id}  {one.state.value:9}  {one.share_with} asks {one.owner} for"
        f" {path}  {moment(one.created_at)}"
    )


def sent_request_line(one: SentRequest) -> str:
    """What a local user asked somebody to share, in a line."""
    why = f" ({one.reason})" if one.reason else ""
    return (
        f"{one.id}  {one.state.value:9}  {one.user} asks {one.owner} for"
        f" {one.share}  {moment(one.created_at)}{why}"
    )


def invite_line(one: SentInvite) -> str:
    """An Invite of a local user, in a line."""
    until = f", until {moment(one.expiration_at)}" if one.expiration_at else ""
    by = f" by {one.accepted_by}" if one.accepted_by else ""
    note = f"  {one.note}" if one.note else ""
    return f"{one.id}  {one.state.value:9}{by}  from {one.sender}{until}{note}"


def contact_line(one: Contact) -> str:
    """A contact, in a line."""
    return f"{one.id}  {one.shown_as} <{one.address}>  of {one.user}  ({one.source.value})"


def moment(seconds: int) -> str:
    """A time, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


def version(one: Version | Listing) -> dict[str, Any]:
    """A list of the policy's history, as JSON."""
    return {"number": one.number, "madeAt": one.made_at, "madeBy": one.made_by, "note": one.note}


def preview(found: Preview) -> dict[str, Any]:
    """What a list would change, as JSON."""
    return {
        "before": found.before,
        "added": list(found.change.added),
        "removed": list(found.change.removed),
        "unchanged": len(found.change.unchanged),
        "refused": [
            {"where": one.where, "text": one.text, "reason": one.reason} for one in found.refused
        ],
        "seen": found.seen,
    }
