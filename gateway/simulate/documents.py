"""Discovery documents: the one that a simulated server publishes, and how it reads another's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.simulate.quirks import Peer, Signs


class Unreadable(Exception):
    """A document that this kind of server cannot use, and why."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """What another server's document says to this kind of server. URLs absolute, "" for none."""

    origin: str
    end_point: str
    webdav: str
    token: str = ""
    jwks: str = ""
    pem: str = ""
    pem_id: str = ""
    capabilities: frozenset[str] = frozenset()

    def api(self, name: str) -> str:
        """One part of its API."""
        return f"{self.end_point.rstrip('/')}/{name}"


def published(
    peer: Peer, origin: str, asked_by: str, pem: tuple[str, str] | None
) -> dict[str, object]:
    """The document for whoever has that User-Agent; `pem` is keyId and key of draft-cavage."""
    nextcloud = asked_by == "Nextcloud Server Crawler" and peer.api_version_for_nextcloud
    document: dict[str, object] = {
        "enabled": True,
        "apiVersion": nextcloud or peer.api_version,
        "endPoint": origin + peer.end_point,
        peer.list_name: [_entry(peer, name) for name in peer.resource_types],
    }
    optional = {
        "capabilities": list(peer.capabilities),
        "criteria": list(peer.criteria),
        "tokenEndPoint": peer.token and origin + peer.token,
        "jwksUri": peer.names_jwks and origin + peer.jwks,
        "inviteAcceptDialog": peer.invite_dialog and origin + peer.invite_dialog,
        "publicKey": pem and {"keyId": pem[0], "publicKeyPem": pem[1]},
    }
    return document | {name: value for name, value in optional.items() if value}


def read(peer: Peer, origin: str, document: Mapping[str, Any], resource_type: str) -> Theirs:
    """Another's document through the eyes of this server. Raises Unreadable."""
    if document.get("enabled") is not True:
        raise Unreadable("enabled is not true")
    version = str(document.get("apiVersion", ""))
    if peer.takes_versions and not version.startswith(peer.takes_versions):
        raise Unreadable(f"apiVersion {version} is too new")
    entries = document.get("resourceTypes") or document.get("shareTypes")
    if not document.get("endPoint") or not isinstance(entries, list) or not entries:
        raise Unreadable("endPoint or resourceTypes is missing")
    if peer.string_protocols and not all(_strings(entry["protocols"]) for entry in entries):
        raise Unreadable("a value in protocols is not a string")
    if peer.strict_reading:
        _read_strictly(origin, document)
    key = document.get("publicKey")
    key = key if isinstance(key, Mapping) else {}
    return Theirs(
        origin=origin,
        end_point=str(document["endPoint"]),
        webdav=_webdav(peer, entries, resource_type),
        token=str(document.get("tokenEndPoint", "")),
        jwks=str(document.get("jwksUri") or f"{origin}/.well-known/jwks.json"),
        pem=str(key.get("publicKeyPem", "")),
        pem_id=str(key.get("keyId", "")),
        capabilities=frozenset(document.get("capabilities") or ()),
    )


def scheme_for(peer: Peer, theirs: Theirs) -> Signs:
    """How this server signs what it sends to another."""
    if peer.signs is Signs.RFC9421 and "http-sig" not in theirs.capabilities:
        return Signs.CAVAGE if peer.public_key else Signs.NOT
    return peer.signs


def _entry(peer: Peer, name: str) -> dict[str, object]:
    protocols = {"webdav": peer.webdav, **peer.more_protocols}
    # ownCloud calls the list itself shareTypes, and has none in it.
    types = {} if peer.list_name == "shareTypes" else {"shareTypes": ["user"]}
    return {"name": name, **types, "protocols": protocols}


def _webdav(peer: Peer, entries: list[Any], resource_type: str) -> str:
    wanted = resource_type if peer.exact_type else "file"
    named = entries[:1] if peer.first_type else [one for one in entries if one["name"] == wanted]
    if not named or not isinstance(named[0]["protocols"].get("webdav"), str):
        raise Unreadable(f"there is no WebDAV for {wanted}")
    return str(named[0]["protocols"]["webdav"])


def _read_strictly(origin: str, document: Mapping[str, Any]) -> None:
    """The rules of opencloudmesh-go for a document."""
    exchanges = "exchange-token" in (document.get("capabilities") or ())
    if exchanges != bool(document.get("tokenEndPoint")):
        raise Unreadable("exchange-token and tokenEndPoint go together")
    host = urlsplit(origin).netloc
    for name in ("endPoint", "tokenEndPoint", "jwksUri", "inviteAcceptDialog"):
        url = str(document.get(name, ""))
        if url.startswith("/") and name == "inviteAcceptDialog":
            continue
        if url and urlsplit(url).netloc != host:
            raise Unreadable(f"{name} is not on {host}")
    for entry in document["resourceTypes"]:
        receive = entry["protocols"].get("webdav-receive", {"uri": "relative"})
        if receive not in ({"uri": "relative"}, {"uri": "absolute"}):
            raise Unreadable("webdav-receive is neither relative nor absolute")


def _strings(protocols: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str) for value in protocols.values())
