"""What the user of a simulated server does: share, accept, open, withdraw, invite."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from gateway.simulate import bodies
from gateway.simulate.documents import Theirs
from gateway.simulate.judging import requirements_of, secret_of, split_address
from gateway.simulate.quirks import Opens, Signs
from gateway.simulate.state import USER, Received, Reply, Sent, Simulation, parse

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_PROPERTIES = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<d:propfind xmlns:d="DAV:"><d:prop '
    'xmlns:oc="http://owncloud.org/ns" xmlns:ocs="http://open-collaboration-services.org/ns">'
    "<d:getlastmodified/><d:getcontentlength/><d:getcontenttype/><oc:permissions/>"
    "<ocs:share-permissions/><d:resourcetype/><d:getetag/></d:prop></d:propfind>"
)


async def share(world: Simulation, share_with: str, path: str) -> Sent:
    """Share something; the older form of OCS where the newer one is not taken.

    Raises Unreadable when the other server's document is of no use to this one.
    """
    rel = tuple(part for part in path.split("/") if part)
    folder = world.folder.joinpath(*rel).is_dir()
    provider_id = world.next_id()
    secret = bodies.secret_for(world.peer)
    sent = Sent(provider_id, rel, share_with, secret, folder, "write" in world.peer.grants)
    kind = "folder" if folder and not world.peer.folders_as_files else "file"
    theirs = await world.discover(split_address(share_with)[1], kind)
    terms = bodies.Terms(provider_id, rel[-1] if rel else USER, share_with, secret, folder)
    if not world.peer.keeps_late:
        world.sent[provider_id] = sent
    body = json.dumps(bodies.share(world.peer, USER, world.origin, terms)).encode()
    reply = await world.post(theirs, theirs.api("shares"), body, _JSON)
    taken = _taken(world, reply)
    sent.statuses.append(reply.status)
    if not taken and world.peer.ocs:
        form = urlencode(bodies.ocs_form(USER, world.origin, terms)).encode()
        url = f"{theirs.origin}{world.peer.ocs}?format=json"
        reply = await world.post(theirs, url, form, _FORM)
        sent.statuses.append(reply.status)
        taken = reply.status in (200, 201)
    sent.state = "sent" if taken else "refused"
    world.sent[provider_id] = sent
    return sent


async def decide(world: Simulation, share_id: str, *, accept: bool) -> int:
    """Accept or decline; the status that the notice was answered with, 0 when none is sent."""
    received = world.received[share_id]
    received.state = "accepted" if accept else "declined"
    kind = "SHARE_ACCEPTED" if accept else "SHARE_DECLINED"
    provider_id, secret = str(received.body["providerId"]), secret_of(received.body)
    return await tell(world, received.server, kind, provider_id, secret)


async def unshare(world: Simulation, provider_id: str) -> int:
    """Withdraw a Share; the status that the notice was answered with, 0 when none is sent."""
    sent = world.sent[provider_id]
    sent.state = "unshared"
    server = split_address(sent.share_with)[1]
    return await tell(world, server, "SHARE_UNSHARED", provider_id, sent.secret, sent.share_with)


async def tell(
    world: Simulation,
    server: str,
    kind: str,
    provider_id: str,
    secret: str,
    share_with: str = "",
) -> int:
    """A notification, if this kind of server sends it; 0 otherwise."""
    if kind not in world.peer.tells:
        return 0
    theirs = await world.discover(server)
    grantee = split_address(share_with)[0]
    body = bodies.notification(world.peer, kind, provider_id, secret, grantee)
    url = theirs.api("notifications")
    return (await world.post(theirs, url, json.dumps(body).encode(), _JSON)).status


async def open_share(
    world: Simulation, share_id: str, method: str = "GET", path: str = "", body: bytes = b""
) -> Reply:
    """Reach into what was shared, in this server's own way, and forget a share that is gone."""
    received = world.received[share_id]
    if method not in ("GET", "PROPFIND") and not world.peer.writes:
        return Reply(501, {}, b"this kind of server does not write")
    theirs = await world.discover(received.server)
    url, credential = await way(world, theirs, received)
    headers = {"Authorization": credential}
    if world.peer.looks_first and method != "PROPFIND":
        looked = await look(world, url, credential)
        if looked.status != 207:
            _forget(world, received, looked.status)
            return looked
    if method == "PROPFIND":
        headers |= {"Depth": "1", "Content-Type": "application/xml"}
        body = _PROPERTIES.encode()
    target = url.rstrip("/") + f"/{quote(path)}" if path else url
    reply = await world.call(method, target, headers, body)
    _forget(world, received, reply.status)
    return reply


async def look(world: Simulation, url: str, credential: str) -> Reply:
    """The PROPFIND before everything else."""
    if world.peer.depthless:
        return await world.call("PROPFIND", url, {"Authorization": credential})
    headers = {"Authorization": credential, "Depth": "0", "Content-Type": "application/xml"}
    return await world.call("PROPFIND", url, headers, _PROPERTIES.encode())


async def way(world: Simulation, theirs: Theirs, received: Received) -> tuple[str, str]:
    """URL and Authorization of what was shared."""
    secret = secret_of(received.body)
    root = f"{theirs.origin}/{theirs.webdav.strip('/')}/"
    demanded = "must-exchange-token" in requirements_of(received.body)
    match world.peer.opens:
        case Opens.ROOT_BASIC:
            return root, _basic(secret, world.peer.password)
        case Opens.ROOT_TOKEN:
            token = await token_for(world, theirs, received) if theirs.token else ""
            return root, f"Bearer {token}" if token else _basic(secret, "")
    uri = str(received.body["protocol"]["webdav"].get("uri", ""))
    url = uri if "://" in uri else root + uri
    if world.peer.opens is Opens.URI_SECRET or not (demanded or theirs.token):
        return url, f"Bearer {secret}"
    token = await token_for(world, theirs, received)
    return url, f"Bearer {token or secret}" if token or not demanded else "Bearer none"


async def token_for(world: Simulation, theirs: Theirs, received: Received) -> str:
    """The access token of a share, got once; "" when there is none to be had."""
    received.token = received.token or await exchange(world, theirs, secret_of(received.body))
    return received.token


async def exchange(world: Simulation, theirs: Theirs, secret: str) -> str:
    """An access token for a secret; "" when there is none to be had."""
    form = {"grant_type": "authorization_code", "client_id": world.authority, "code": secret}
    reply = await world.post(theirs, theirs.token, urlencode(form).encode(), _FORM)
    answer = parse(reply.body) if reply.status == 200 else {}
    usable = str(answer.get("token_type", "")).lower() == "bearer"
    return str(answer.get("access_token", "")) if usable else ""


def create_invite(world: Simulation) -> str:
    """An invite string of this server's user."""
    token = secrets.token_urlsafe(12)
    world.invites[token] = ""
    return base64.urlsafe_b64encode(f"{token}@{world.authority}".encode()).decode().rstrip("=")


async def accept_invite(world: Simulation, invite: str) -> tuple[int, str]:
    """Accept another's invite: the status of the answer, and the contact it made."""
    padded = invite + "=" * (-len(invite) % 4)
    text = base64.urlsafe_b64decode(padded.replace("+", "-").replace("/", "_")).decode()
    token, _, provider = text.rpartition("@")
    theirs = await world.discover(provider)
    body = {
        "recipientProvider": world.authority,
        "token": token,
        "userID": bodies.user_id(world.peer, USER, world.authority),
        "email": f"{USER}@example.org",
        "name": "Albert Einstein",
    }
    url = theirs.api("invite-accepted")
    reply = await world.post(theirs, url, json.dumps(body).encode(), _JSON)
    their_id = parse(reply.body).get("userID")
    if reply.status not in world.peer.accepted_by or not their_id:
        return reply.status, ""
    contact = f"{their_id}@{provider}"
    world.contacts.add(contact)
    return reply.status, contact


def _taken(world: Simulation, reply: Reply) -> bool:
    if reply.status not in world.peer.taken_by:
        return False
    return not world.peer.wants_object or reply.body.strip()[:1] == b"{"


def _forget(world: Simulation, received: Received, status: int) -> None:
    if status in world.peer.forgets_on:
        received.state = "deleted"


def _basic(secret: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{secret}:{password}".encode()).decode()


def described(world: Simulation) -> Mapping[str, Any]:
    """The server, its Shares and its contacts, as JSON. Without secrets."""
    return {
        "simulation": True,
        "peer": world.peer.name,
        "title": world.peer.title,
        "address": world.address,
        "signs": world.peer.signs.value if world.peer.signs is not Signs.NOT else None,
        "contacts": sorted(world.contacts),
        "sent": [
            {
                "id": one.provider_id,
                "path": "/" + "/".join(one.path),
                "shareWith": one.share_with,
                "state": one.state,
                "statuses": one.statuses,
            }
            for one in world.sent.values()
        ],
        "received": [
            {
                "id": one.id,
                "name": one.body["name"],
                "from": one.body.get("sender") or one.body.get("owner"),
                "state": one.state,
            }
            for one in world.received.values()
        ],
    }
