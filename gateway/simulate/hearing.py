"""What a simulated server does with what comes in: the OCM API and its WebDAV."""

import base64
import binascii
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.simulate import acting, bodies, files, judging, signing
from gateway.simulate.documents import Unreadable
from gateway.simulate.files import Answer
from gateway.simulate.judging import Facts, requirements_of, secret_of, split_address
from gateway.simulate.quirks import Opens, Proof, Signs
from gateway.simulate.signing import NotProven, Request
from gateway.simulate.state import USER, Received, Seen, Sent, Simulation, parse

_TOKEN_SECONDS = 300


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def receive_share(world: Simulation, seen: Seen) -> Answer:
    """POST /shares."""
    if "application/json" not in seen.headers.get("content-type", ""):
        raise Refusal(400, "not application/json")
    return await _take(world, parse(seen.body), seen)


async def receive_ocs(world: Simulation, seen: Seen) -> Answer:
    """POST /ocs/v2.php/cloud/shares, the older form."""
    form = bodies.from_ocs_form(dict(parse_qsl(seen.body.decode())))
    await _take(world, form, None)
    meta = {"status": "ok", "statuscode": 200, "message": "OK"}
    return _json(200, {"ocs": {"meta": meta, "data": []}})


async def _take(world: Simulation, body: Mapping[str, Any], seen: Seen | None) -> Answer:
    claimed = split_address(str(next((body[n] for n in ("owner", "sender") if n in body), "")))[1]
    signer = await prove(world, seen, claimed) if seen else ""
    earlier = next((one for one in world.received.values() if _same(one.body, body)), None)
    facts = Facts(
        world.peer,
        bodies.identifiers(world.peer, USER, world.authority) if seen else {USER},
        world.contacts,
        signer,
        earlier.body if earlier else None,
    )
    body = body if seen else {**body, "shareWith": f"{body['shareWith']}@{world.authority}"}
    if refusal := judging.judge(body, facts):
        raise Refusal(*refusal)
    if earlier is None:
        server = split_address(str(body.get("sender") or body["owner"]))[1]
        received = Received(str(uuid.uuid4()), body, server)
        await _look_inside(world, received)
        world.received[received.id] = received
    status, answer = world.peer.answers
    return _json(status, answer, plain=world.peer.plain_answers)


async def _look_inside(world: Simulation, received: Received) -> None:
    """What some servers do before they answer the Share."""
    demanded = "must-exchange-token" in requirements_of(received.body)
    try:
        if world.peer.exchanges_inside and demanded:
            theirs = await world.discover(received.server)
            if not await acting.token_for(world, theirs, received):
                raise Refusal(400, "no token could be had for the share")
        if world.peer.looks_inside:
            theirs = await world.discover(received.server)
            looked = await acting.look(world, *await acting.way(world, theirs, received))
            if looked.status != 207:
                raise Refusal(400, f"the share answers {looked.status}")
    except Unreadable as error:
        raise Refusal(400, str(error)) from error


async def receive_notification(world: Simulation, seen: Seen) -> Answer:
    """POST /notifications."""
    body, peer = parse(seen.body), world.peer
    status, answer = peer.heard
    if peer.believes is Proof.NOTHING:
        return _json(status, answer)
    kind, provider_id = body.get("notificationType"), str(body.get("providerId", ""))
    if kind not in peer.hears:
        raise Refusal(peer.hears_other, f"notifications of type {kind} are not supported")
    more = body.get("notification")
    more = more if isinstance(more, dict) else {}
    if peer.believes is Proof.GRANTEE and not more.get("grantee"):
        raise Refusal(500, "no grantee")
    if peer.believes is Proof.SECRET and not more.get("sharedSecret"):
        raise Refusal(400, "no sharedSecret")
    record = _meant(world, str(kind), provider_id, more)
    signer = await prove(world, seen, _other_side(record) if record else "")
    if record is None:
        raise Refusal(404 if peer.believes is Proof.SIGNER else peer.disbelieves, "no such share")
    if signer and signer != _other_side(record):
        raise Refusal(peer.disbelieves, "not from the other side of the share")
    record.state = {"SHARE_ACCEPTED": "accepted", "SHARE_DECLINED": "declined"}.get(
        str(kind), "unshared"
    )
    return _json(status, answer)


async def receive_token_request(world: Simulation, seen: Seen) -> Answer:
    """POST to the token endpoint."""
    form = dict(parse_qsl(seen.body.decode()))
    if form.get("grant_type") not in world.peer.grant_types:
        return _json(400, {"error": "unsupported_grant_type"})
    sent = next((one for one in world.sent.values() if one.secret == form.get("code")), None)
    host = split_address(sent.share_with)[1] if sent else ""
    signer = await prove(world, seen, host or form.get("client_id", ""))
    if sent is None or sent.state not in ("sent", "accepted"):
        status, error = world.peer.bad_code
        return _json(status, {"error": error})
    if (signer and signer != host) or form.get("client_id", host) != host:
        return _json(400, {"error": "invalid_client"})
    if world.peer.one_token:
        sent.exchanged = True
        world.tokens = {name: to for name, to in world.tokens.items() if to != sent.provider_id}
    token = secrets.token_urlsafe(24)
    world.tokens[token] = sent.provider_id
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS}
    return _json(200, answer)


async def receive_acceptance(world: Simulation, seen: Seen) -> Answer:
    """POST /invite-accepted."""
    body, (unknown, used) = parse(seen.body), world.peer.invite_errors
    needed = ("recipientProvider", "token", "userID", "email", "name")
    if any(name not in body for name in needed):
        raise Refusal(400, "a member is missing")
    provider = str(body["recipientProvider"])
    if "://" in provider and world.peer.strict_reading:
        raise Refusal(400, "recipientProvider has a scheme")
    host = provider.rpartition("//")[2]
    signer = await prove(world, seen, host)
    if signer and signer != host:
        raise Refusal(403, "not signed by recipientProvider")
    token, contact = str(body["token"]), f"{body['userID']}@{host}"
    if token not in world.invites:
        raise Refusal(unknown, "TOKEN_INVALID")
    if world.invites[token]:
        raise Refusal(used, "INVITE_ALREADY_ACCEPTED")
    world.invites[token] = contact
    world.contacts.add(contact)
    user = bodies.user_id(world.peer, USER, world.authority)
    return _json(200, {"userID": user, "email": f"{USER}@example.org", "name": "Albert Einstein"})


def serve(world: Simulation, seen: Seen) -> Answer:
    """A request to the WebDAV of this server."""
    segments = tuple(unquote(part) for part in urlsplit(seen.path).path.split("/") if part)
    below = segments[len([part for part in world.root.split("/") if part]) :]
    by_root = world.peer.opens in (Opens.ROOT_BASIC, Opens.ROOT_TOKEN)
    sent = _opened(world, seen.headers.get("authorization", ""), by_root=by_root)
    if sent is None:
        scheme = 'Basic realm="simulation"' if by_root else "Bearer"
        return Answer(401, headers=(("WWW-Authenticate", scheme),))
    base = world.root
    if not by_root:
        if below[:1] != (sent.provider_id,):
            return Answer(404)
        base, below = f"{base}/{sent.provider_id}", below[1:]
    if seen.method not in files.READ_ONLY and not (sent.writes and world.peer.serves_writes):
        return Answer(403 if world.peer.serves_writes else 501)
    root = world.folder.joinpath(*sent.path)
    depth = seen.headers.get("depth", "1")
    return files.answer(seen.method, root, below, base, seen.body, depth)


def _opened(world: Simulation, authorization: str, *, by_root: bool) -> Sent | None:
    """The Share that a credential opens."""
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() == "basic" and by_root:
        credential = _user_of(credential)
    elif scheme.lower() == "bearer" and credential in world.tokens:
        return _live(world.sent[world.tokens[credential]])
    elif scheme.lower() != "bearer" or by_root:
        return None
    sent = next((one for one in world.sent.values() if one.secret == credential), None)
    demanded = world.peer.demands_exchange or (sent is not None and sent.exchanged)
    return _live(sent) if sent and world.peer.serves_secret and not demanded else None


def _live(sent: Sent) -> Sent | None:
    return sent if sent.state in ("sent", "accepted") else None


def _user_of(credential: str) -> str:
    """The user of a Basic credential; the password does not count."""
    try:
        return base64.b64decode(credential).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def prove(world: Simulation, seen: Seen, claimed: str) -> str:
    """The server whose signature the request bears; "" for none, where none is needed."""
    signs, headers = world.peer.signs, seen.headers
    if signs is Signs.NOT:
        return ""
    if "signature" not in headers:
        if world.peer.wants_signature:
            raise Refusal(world.peer.wants_signature, "not signed")
        if world.peer.pins and claimed in world.pinned:
            raise Refusal(world.peer.bad_signature, "this server has signed before")
        return ""
    request = Request(seen.method, world.origin + seen.path, headers, seen.body)
    try:
        signer = await _verify(world, request, claimed, signs)
    except (NotProven, Unreadable) as error:
        raise Refusal(world.peer.bad_signature, str(error)) from error
    world.pinned.add(signer)
    return signer


async def _verify(world: Simulation, request: Request, claimed: str, signs: Signs) -> str:
    now = int(time.time())
    keyid = signing.keyid_of(request.headers)
    host = _host_of(keyid) or claimed
    if signs is Signs.RFC9421 and "signature-input" in request.headers:
        theirs = await world.discover(host)
        reply = await world.call("GET", theirs.jwks, {"Accept": "application/json"})
        keys = parse(reply.body).get("keys") or []
        jwk = next((one for one in keys if one.get("kid") == keyid), None)
        if jwk is None:
            raise NotProven(f"no key {keyid} is published")
        signing.verify(request, jwk, now)
    elif world.peer.public_key:
        theirs = await world.discover(host)
        if theirs.pem_id != keyid:
            raise NotProven(f"no key {keyid} is published")
        signing.verify_cavage(request, theirs.pem, now)
    else:
        raise NotProven("a signature of another scheme")
    return host


def _host_of(keyid: str) -> str:
    """host#fragment or a URL with a fragment; "" for a kid that says nothing."""
    if "://" in keyid:
        return urlsplit(keyid).netloc
    return keyid.partition("#")[0] if "#" in keyid else ""


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Two Shares of one providerId from one server."""
    owners = {split_address(str(body.get("owner", "")))[1] for body in (one, other)}
    return one.get("providerId") == other.get("providerId") and len(owners) == 1


def _meant(
    world: Simulation, kind: str, provider_id: str, more: Mapping[str, Any]
) -> Sent | Received | None:
    """The Share that a notification is about, if what it knows of it is right."""
    record: Sent | Received | None
    if kind in ("SHARE_ACCEPTED", "SHARE_DECLINED"):
        record = world.sent.get(provider_id)
        secret = record.secret if record else ""
    else:
        record = next(
            (one for one in world.received.values() if str(one.body["providerId"]) == provider_id),
            None,
        )
        secret = secret_of(record.body) if record else ""
    if world.peer.believes is Proof.SECRET and more.get("sharedSecret") != secret:
        return None
    if world.peer.believes is Proof.GRANTEE:
        users = bodies.identifiers(world.peer, USER, world.authority)
        return record if more.get("grantee") in users else None
    return record


def _other_side(record: Sent | Received) -> str:
    return record.server if isinstance(record, Received) else split_address(record.share_with)[1]


def _json(status: int, body: object, *, plain: bool = False) -> Answer:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/plain" if plain else "application/json"
    return Answer(status, written, (("Content-Type", kind),))
