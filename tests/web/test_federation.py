"""The OCM API as a foreign server meets it: each test has one defect, its status, and no trace."""

import asyncio
import base64
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from jwcrypto import jwk
from multidict import CIMultiDict

from gateway.model import ReceivedState, SentState
from tests.peer import (
    COVERED,
    Answer,
    digest,
    ed25519_key,
    p256_key,
    rsa_key,
    unsigned,
    webdav,
)
from tests.servers import free_port
from tests.sharing.stage import (
    Clock,
    address,
    counts,
    create_share,
    leaves_no_trace,
    notifications_of,
    request,
    send_share,
    shares_of,
)

SCHEMA = json.loads((Path(__file__).parents[1] / "wire/discovery.schema.json").read_text())
DOCUMENTS = ("/.well-known/ocm", "/ocm-provider", "/ocm-provider/", "/ocm-provider/index.php")


async def get(peer, url, method="GET", **headers):
    return await peer.send(request(method, url, b"", headers))


async def document(gateway, peer, path=DOCUMENTS[0], **headers):
    return await get(peer, gateway.ours.origin + path, **headers)


def refused(reply, status, code=None):
    """The status, as a JSON object with a message."""
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json()["message"]
    if code:
        assert reply.json()["code"] == code


# Discovery


@pytest.mark.conforms("OCM-5.2-09")
async def test_the_discovery_document_is_the_same_at_all_paths(gateway, peer):
    found = [await document(gateway, peer, path) for path in DOCUMENTS]
    assert {one.status for one in found} == {200}
    assert len({one.body for one in found}) == 1
    assert found[0].headers["Content-Type"].startswith("application/json")


@pytest.mark.conforms(
    "OCM-2.1.1-01",
    "OCM-5.3-01",
    "OCM-5.3-05",
    "OCM-5.3-08",
    "OCM-5.3-09",
    "OCM-5.3-12",
    "OCM-13.1-01",
)
async def test_the_discovery_document_is_valid_and_names_this_server(gateway, peer):
    found = (await document(gateway, peer)).json()
    jsonschema.validate(found, SCHEMA)
    origin = gateway.ours.origin
    assert found["enabled"] is True
    assert found["apiVersion"] == "1.3.0"
    assert found["endPoint"] == f"{origin}/ocm"
    assert found["tokenEndPoint"] == f"{origin}/ocm/token"
    assert found["jwksUri"] == f"{origin}/.well-known/jwks.json"
    assert [one["name"] for one in found["resourceTypes"]] == ["file", "folder"]
    assert {one["protocols"]["webdav"] for one in found["resourceTypes"]} == {"/remote/dav/ocm/"}
    assert {"exchange-token", "http-sig", "notifications", "protocol-object"} <= set(
        found["capabilities"]
    )


@pytest.mark.conforms("OCM-5.3-30")
@pytest.mark.parametrize(
    ("changes", "criteria"),
    [
        ({}, {"http-request-signatures", "must-use-http-sig"}),
        ({"signatures": {"required": False}}, set()),
        (
            {"sharing": {"require_exchange": True}},
            {
                "http-request-signatures",
                "must-use-http-sig",
                "token-exchange",
                "must-exchange-token",
            },
        ),
        (
            {"policy": {"default": "deny", "deny": ["evil.example"]}},
            {"http-request-signatures", "must-use-http-sig", "allowlist", "denylist"},
        ),
    ],
)
async def test_criteria_say_what_is_switched_on(opened, peer, changes, criteria):
    found = (await document(await opened(**changes), peer)).json()
    jsonschema.validate(found, SCHEMA)
    assert set(found["criteria"]) == criteria


@pytest.mark.conforms("OCM-5.3-02", "OCM-6.2-08")
async def test_a_server_that_neither_sends_nor_receives_is_disabled(opened, peer):
    gateway = await opened(sharing={"send": False, "receive": False})
    assert (await document(gateway, peer)).json()["enabled"] is False
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    refused(reply, 501)
    await leaves_no_trace(gateway, peer)


async def test_the_configured_paths_are_the_published_ones(opened, peer):
    paths = {"ocm": "/api/ocm", "shares": "/dav/out", "received": "/dav/in"}
    public = {"paths": paths}
    port = free_port()
    public |= {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    gateway = await opened(public=public)
    found = (await document(gateway, peer)).json()
    assert found["endPoint"] == f"http://127.0.0.1:{port}/api/ocm"
    assert found["resourceTypes"][0]["protocols"]["webdav"] == "/dav/out/"
    assert (await peer.post(f"{found['endPoint']}/shares", b"{}")).status == 400


@pytest.mark.conforms("OCM-RFC9421-06")
@pytest.mark.parametrize("path", [*DOCUMENTS, "/.well-known/jwks.json"])
async def test_a_host_header_changes_nothing(gateway, peer, path):
    plain = await document(gateway, peer, path)
    spoofed = await document(
        gateway,
        peer,
        path,
        Host="evil.example",
        **{
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "gopher",
            "Forwarded": "host=evil.example;proto=gopher",
        },
    )
    assert spoofed.body == plain.body
    assert b"evil" not in spoofed.body


async def test_old_nextclouds_are_told_an_old_version(gateway, peer):
    agent = {"User-Agent": "Nextcloud Server Crawler"}
    found = await document(gateway, peer, **agent)
    assert found.json()["apiVersion"] == "1.1.0"
    assert "User-Agent" in found.headers["Vary"]


@pytest.mark.conforms("OCM-RFC8615-04")
@pytest.mark.parametrize("path", [*DOCUMENTS, "/.well-known/jwks.json"])
async def test_head_answers_as_get_without_the_body(gateway, peer, path):
    reply = await get(peer, gateway.ours.origin + path, "HEAD")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.conforms("OCM-RFC8615-04")
@pytest.mark.parametrize("path", [*DOCUMENTS, "/.well-known/jwks.json"])
async def test_documents_take_no_posts(gateway, peer, path):
    reply = await peer.post(gateway.ours.origin + path, b"{}")
    refused(reply, 405)
    assert reply.headers["Allow"] == "GET, HEAD"


@pytest.mark.conforms("OCM-RFC8615-01", "OCM-RFC8615-03")
@pytest.mark.parametrize("path", ["/ocm/.well-known/ocm", "/.well-known/", "/.well-known/x"])
async def test_other_well_known_places_are_empty(gateway, peer, path):
    refused(await get(peer, gateway.ours.origin + path), 404)


@pytest.mark.conforms("OCM-GW-08")
@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
async def test_the_public_listener_has_no_metrics(gateway, peer, path):
    refused(await get(peer, gateway.ours.origin + path), 404)


@pytest.mark.conforms("OCM-5.3-24", "OCM-17.1-01", "OCM-RFC7517-02", "OCM-RFC7517-04")
async def test_published_keys_are_public_and_can_be_read_by_others(gateway, peer):
    keys = (await document(gateway, peer, "/.well-known/jwks.json")).json()["keys"]
    assert keys
    for entry in keys:
        key = jwk.JWK.from_json(json.dumps(entry))
        assert key.has_public
        assert not key.has_private
        assert entry["kid"].startswith(f"{gateway.ours.authority}#")
        assert (entry["use"], entry["alg"]) == ("sig", "EdDSA")
        assert not {"d", "p", "q", "k"} & entry.keys()


# Shares: who says so


@pytest.mark.conforms("OCM-2-07", "OCM-5.3-19", "OCM-6.2-02", "OCM-6.4-01")
async def test_a_signed_share_is_taken(gateway, peer):
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    assert reply.status == 201
    assert reply.json() == {"recipientDisplayName": "alice"}
    [share] = await gateway.receiving.inbox("alice")
    assert (share.name, share.sender) == ("from afar", f"einstein@{peer.authority}")
    assert share.state is ReceivedState.PENDING


@pytest.mark.conforms("OCM-6.2-06", "OCM-6.3-02", "OCM-14.1.1-01", "OCM-5.3-31")
async def test_an_unsigned_share_is_refused_and_nobody_is_asked(gateway, peer):
    reply = await peer.send(unsigned("POST", shares_of(gateway), peer.share(address(gateway))))
    refused(reply, 401, "UNSIGNED")
    await leaves_no_trace(gateway, peer)


def tampered_body(peer, url, body):
    sent = peer.signed("POST", url, body)
    changed = sent.body.replace(b"einstein", b"mileva--", 1)
    return type(sent)(sent.method, sent.url, sent.headers, changed)


def without(name):
    return tuple(component for component in COVERED if component != name)


def hmac(peer, url, body):
    return peer.signed(
        "POST", url, body, parameters=lambda text: text.replace("ed25519", "hmac-sha256")
    )


def twice(peer, url, body):
    sent = peer.signed("POST", url, body)
    sent.headers.add("Signature-Input", sent.headers["Signature-Input"])
    sent.headers.add("Signature", sent.headers["Signature"])
    return sent


def two_for_ocm(peer, url, body):
    one = peer.signed("POST", url, body)
    two = peer.signed("POST", url, body, label="more")
    names = ("Signature-Input", "Signature")
    one.headers.extend([(name, two.headers[name]) for name in names])
    return one


def other_bytes(peer, url, body):
    sent = peer.signed("POST", url, body)
    return sent.having(Signature=f"ocm=:{base64.b64encode(bytes(64)).decode()}:")


def created(seconds):
    return lambda peer, url, body: peer.signed("POST", url, body, created=time.time() + seconds)


def covering(*names):
    return lambda peer, url, body: peer.signed("POST", url, body, covered=names)


def changed(**headers):
    return lambda peer, url, body: peer.signed("POST", url, body).having(**headers)


def saying(**options):
    return lambda peer, url, body: peer.signed("POST", url, body, **options)


STRANGE = ed25519_key("strange")
NEEDS_NO_KEY = {
    "a tampered body": tampered_body,
    "a stale signature": created(-400),
    "a signature from the future": created(120),
    "an expired signature": saying(expires=time.time() - 1),
    "no time of creation": saying(
        parameters=lambda text: ";".join(
            part for part in text.split(";") if not part.startswith("created")
        )
    ),
    "no key id": saying(
        parameters=lambda text: ";".join(
            part for part in text.split(";") if not part.startswith("keyid")
        )
    ),
    "method not covered": covering(*without("@method")),
    "target not covered": covering(*without("@target-uri")),
    "digest not covered": covering(*without("content-digest")),
    "nothing covered": covering(),
    "the wrong digest": saying(Content_Digest=digest(b"other")),
    "an obsolete digest": changed(Content_Digest="md5=:AAAA:"),
    "a digest in the old header": lambda peer, url, body: peer.signed(
        "POST",
        url,
        body,
        Content_Digest=None,
        Digest="SHA-256=x",
        covered=("@method", "@target-uri", "digest"),
    ),
    "the same label twice": twice,
    "two signatures for ocm": two_for_ocm,
    "a signature for something else": saying(tag="other"),
    "no Signature": changed(Signature=None),
    "no Signature-Input": changed(Signature_Input=None),
    "an older kind of signature": changed(
        Signature_Input=None, Signature='keyId="x",algorithm="rsa-sha256",signature="AAAA"'
    ),
    "a key id of another server": saying(keyid="evil.example#key1"),
    "a key id of the same host and another port": saying(keyid="127.0.0.1#key1"),
}
NEEDS_A_KEY = {
    "a tampered header": changed(Date="Thu, 01 Jan 2026 00:00:00 GMT"),
    "a stranger's key": lambda peer, url, body: peer.signed(
        "POST", url, body, key=STRANGE, keyid=peer.key.kid
    ),
    "an unknown key": lambda peer, url, body: peer.signed(
        "POST", url, body, keyid=f"{peer.authority}#key2"
    ),
    "a key id in other letters": lambda peer, url, body: peer.signed(
        "POST", url, body, keyid=peer.key.kid.replace("key1", "KEY1")
    ),
    "another method": lambda peer, url, body: type(sent := peer.signed("PUT", url, body))(
        "POST", url, sent.headers, sent.body
    ),
    "another target": lambda peer, url, body: type(
        sent := peer.signed("POST", url.replace("/shares", "/notifications"), body)
    )("POST", url, sent.headers, sent.body),
    "another host": lambda peer, url, body: type(
        sent := peer.signed("POST", "http://evil.example/ocm/shares", body)
    )("POST", url, sent.headers, sent.body),
    "a symmetric algorithm": hmac,
    "bytes that sign nothing": other_bytes,
}


@pytest.mark.conforms("OCM-RFC9421-12", "OCM-RFC9421-13", "OCM-RFC9421-17", "OCM-RFC9530-06")
@pytest.mark.parametrize("defect", NEEDS_NO_KEY)
async def test_what_fails_without_a_key_is_refused_before_anyone_is_asked(gateway, peer, defect):
    sent = NEEDS_NO_KEY[defect](peer, shares_of(gateway), peer.share(address(gateway)))
    refused(await peer.send(sent), 401, "BAD_SIGNATURE")
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-17.3-03", "OCM-17.3-04")
@pytest.mark.parametrize("defect", NEEDS_A_KEY)
async def test_a_signature_that_does_not_hold_is_refused(gateway, peer, defect):
    sent = NEEDS_A_KEY[defect](peer, shares_of(gateway), peer.share(address(gateway)))
    refused(await peer.send(sent), 401, "BAD_SIGNATURE")
    await leaves_no_trace(gateway)
    assert {one.method for one in peer.seen} == {"GET"}


@pytest.mark.conforms("OCM-6.3-03")
@pytest.mark.parametrize("defect", NEEDS_NO_KEY | NEEDS_A_KEY)
async def test_an_invalid_signature_is_never_taken_for_none(opened, peer, defect):
    gateway = await opened(signatures={"required": False})
    peer.keys.clear()
    sent = (NEEDS_NO_KEY | NEEDS_A_KEY)[defect](
        peer, shares_of(gateway), peer.share(address(gateway))
    )
    refused(await peer.send(sent), 401, "BAD_SIGNATURE")
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.3-05", "OCM-17.3-01", "OCM-17.4-01")
async def test_the_key_of_another_server_proves_nothing(gateway, peer, other):
    body = peer.share(address(gateway))
    refused(await other.post(shares_of(gateway), body), 401, "BAD_SIGNATURE")
    await leaves_no_trace(gateway, peer, other)


@pytest.mark.conforms("OCM-RFC9421-14")
async def test_a_request_is_taken_once(gateway, peer):
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    assert (await peer.send(sent)).status == 201
    before = await counts(gateway)
    refused(await peer.send(sent), 401, "BAD_SIGNATURE")
    assert await counts(gateway) == before


async def test_a_request_is_taken_once_across_a_restart(opened, peer, tmp_path):
    port = free_port()
    public = {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    gateway = await opened(public=public)
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    assert (await peer.send(sent)).status == 201
    elsewhere = f"127.0.0.1:{free_port()}"  # another process of the same server
    again = await opened(public=public | {"listen": elsewhere})
    moved = type(sent)("POST", f"http://{elsewhere}/ocm/shares", sent.headers, sent.body)
    refused(await peer.send(moved), 401, "BAD_SIGNATURE")
    assert len(await again.receiving.inbox()) == 1


async def test_a_signature_reused_for_another_body_is_refused(gateway, peer):
    first = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    second = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    reused = second.having(
        Signature_Input=first.headers["Signature-Input"], Signature=first.headers["Signature"]
    )
    refused(await peer.send(reused), 401, "BAD_SIGNATURE")
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-RFC9421-19")
@pytest.mark.parametrize("make", [p256_key, rsa_key])
async def test_other_kinds_of_keys_are_good(gateway, peer, make):
    key = make(f"{peer.authority}#other")
    peer.keys.append(key)
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)), key=key)
    assert reply.status == 201


@pytest.mark.conforms("OCM-RFC9421-22")
async def test_draft_03_signatures_are_good_enough_by_default(gateway, peer):
    covered = ("@method", "@target-uri", "content-digest")
    body = peer.share(address(gateway))
    reply = await peer.post(shares_of(gateway), body, label="sig1", tag=None, covered=covered)
    assert reply.status == 201


async def test_draft_03_signatures_are_refused_by_the_strict_profile(opened, peer):
    gateway = await opened(signatures={"profile": "strict"})
    covered = ("@method", "@target-uri", "content-digest")
    body = peer.share(address(gateway))
    refused(await peer.post(shares_of(gateway), body, covered=covered), 401)
    await leaves_no_trace(gateway, peer)
    assert (await peer.post(shares_of(gateway), body)).status == 201


@pytest.mark.conforms("OCM-RFC9421-21")
async def test_a_proxys_own_signature_does_not_disturb(gateway, peer):
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    sent.headers.add("Signature-Input", 'proxy=("@authority");created=1;keyid="p";tag="proxy"')
    sent.headers.add("Signature", "proxy=:AAAA:")
    assert (await peer.send(sent)).status == 201


@pytest.mark.conforms("OCM-2-11")
async def test_a_key_that_was_changed_is_fetched_once_more(gateway, peer):
    await send_share(peer, gateway)
    peer.key = ed25519_key(peer.key.kid)
    peer.keys[:] = [peer.key]
    await send_share(peer, gateway)
    assert len(peer.requests("GET /.well-known/jwks.json")) == 2


@pytest.mark.conforms("OCM-2-11")
async def test_a_withdrawn_key_is_good_no_longer(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    await send_share(peer, gateway)
    peer.keys[:] = [ed25519_key(f"{peer.authority}#key2")]
    clock.now += 61
    body = peer.share(address(gateway))
    refused(await peer.post(shares_of(gateway), body, created=clock()), 401, "BAD_SIGNATURE")


@pytest.mark.conforms("OCM-RFC7517-08")
async def test_unknown_keys_lead_to_a_few_fetches_only(gateway, peer):
    for number in range(12):
        body, keyid = peer.share(address(gateway)), f"{peer.authority}#unknown{number}"
        assert (await peer.post(shares_of(gateway), body, keyid=keyid)).status == 401
    assert len(peer.requests("GET /.well-known/jwks.json")) <= 4
    assert (await peer.post(shares_of(gateway), peer.share(address(gateway)))).status == 201


async def test_forged_signatures_lead_to_a_few_fetches_only(gateway, peer):
    for _ in range(12):
        sent = other_bytes(peer, shares_of(gateway), peer.share(address(gateway)))
        assert (await peer.send(sent)).status == 401
    assert len(peer.requests("GET /.well-known/jwks.json")) <= 4
    assert (await peer.post(shares_of(gateway), peer.share(address(gateway)))).status == 201


async def test_keys_that_cannot_be_fetched_are_not_asked_for_at_once_again(gateway, peer):
    peer.on("GET /.well-known/jwks.json", Answer(500))
    for _ in range(5):
        reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
        assert reply.status == 503
    assert len(peer.requests("GET /.well-known/jwks.json")) == 1


@pytest.mark.conforms("OCM-RFC7517-01", "OCM-RFC7517-03")
async def test_one_broken_key_does_not_hide_the_others(gateway, peer):
    keys = [{"kty": "RSA"}, {"kty": "unknown", "kid": "x"}, {}, peer.key.jwk()]
    peer.on("GET /.well-known/jwks.json", Answer(body={"keys": keys, "more": 1}))
    await send_share(peer, gateway)


@pytest.mark.conforms("OCM-RFC7517-06")
async def test_an_encryption_key_verifies_nothing(gateway, peer):
    keys = {"keys": [peer.key.jwk() | {"use": "enc"}]}
    peer.on("GET /.well-known/jwks.json", Answer(body=keys))
    refused(await peer.post(shares_of(gateway), peer.share(address(gateway))), 401)
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-5.3-37")
async def test_a_deprecated_public_key_verifies_nothing(gateway, peer):
    peer.document["publicKey"] = {"keyId": peer.key.kid, "publicKeyPem": "x"}
    peer.keys.clear()
    refused(await peer.post(shares_of(gateway), peer.share(address(gateway))), 401)
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.3-04", "OCM-RFC7517-07", "OCM-RFC8615-06")
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(404), 401),
        (Answer(body=b"<html>"), 401),
        (Answer(body=[]), 401),
        (Answer(body=b'{"keys": [], "x": "' + b"x" * 300_000 + b'"}'), 503),
        (Answer(302, headers={"Location": "/elsewhere"}), 401),
        (Answer(500), 503),
        (Answer(hang_up=True), 503),
    ],
)
async def test_without_keys_nobody_is_believed(gateway, peer, answer, status):
    peer.on("GET /.well-known/jwks.json", answer)
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    refused(reply, status)
    assert ("Retry-After" in reply.headers) == (status == 503)
    await leaves_no_trace(gateway)
    assert peer.requests("GET /elsewhere") == []


@pytest.mark.conforms("OCM-6.3-01")
async def test_an_unsigned_share_from_a_server_with_keys_is_refused_all_the_same(opened, peer):
    gateway = await opened(signatures={"required": False})
    sent = unsigned("POST", shares_of(gateway), peer.share(address(gateway)))
    refused(await peer.send(sent), 401, "UNSIGNED")
    assert await gateway.receiving.inbox() == []


async def test_an_unsigned_share_is_tolerated_where_that_is_configured(opened, peer):
    gateway = await opened(signatures={"required": False})
    peer.on("GET /.well-known/jwks.json", Answer(404))
    sent = unsigned("POST", shares_of(gateway), peer.share(address(gateway)))
    assert (await peer.send(sent)).status == 201


# Shares: who may


@pytest.mark.conforms("OCM-6.2-07", "OCM-6.3-06", "OCM-5.3-33")
@pytest.mark.parametrize("signs", [True, False])
async def test_a_denied_server_is_refused_and_not_asked(opened, peer, signs):
    gateway = await opened(policy={"default": "allow", "deny": ["127.0.0.1"]})
    url, body = shares_of(gateway), peer.share(address(gateway))
    sent = peer.signed("POST", url, body) if signs else unsigned("POST", url, body)
    refused(await peer.send(sent), 403, "NOT_ALLOWED")
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-6.3-07", "OCM-5.3-34", "OCM-14.1-01")
async def test_a_server_on_no_list_is_refused_and_not_asked(opened, peer, other):
    gateway = await opened(policy={"default": "deny", "allow": [other.authority]})
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    refused(reply, 403, "NOT_ALLOWED")
    await leaves_no_trace(gateway, peer)
    await send_share(other, gateway)


@pytest.mark.conforms("OCM-GW-09")
@pytest.mark.parametrize(
    "spelled",
    ["EVIL.example", "evil.example.", "evil.example:443", "Evil.Example.:443"],
)
async def test_a_denied_server_is_denied_in_every_spelling(opened, peer, spelled):
    gateway = await opened(policy={"default": "allow", "deny": ["evil.example"]})
    body = peer.share(address(gateway), sender=f"x@{spelled}", owner=f"x@{spelled}")
    refused(await peer.post(shares_of(gateway), body, keyid="evil.example#1"), 403, "NOT_ALLOWED")
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-17.4-02")
async def test_an_owner_at_another_server_is_refused(gateway, peer, other):
    body = peer.share(address(gateway), owner=f"einstein@{other.authority}")
    refused(await peer.post(shares_of(gateway), body), 403, "NOT_ALLOWED")
    await leaves_no_trace(gateway, other)


# Shares: what they say


@pytest.mark.conforms("OCM-2-04", "OCM-6.1-03")
@pytest.mark.parametrize("user", ["nobody", "ALICE", "alice ", "../alice", ".", "alice/trip"])
async def test_an_unknown_recipient_is_refused(gateway, peer, user):
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway, user)))
    refused(reply, 400)
    assert reply.json()["validationErrors"][0]["name"] == "shareWith"
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.1-03")
async def test_a_recipient_of_another_server_is_refused(gateway, peer):
    refused(await peer.post(shares_of(gateway), peer.share("alice@elsewhere.example")), 400)
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-GW-07")
async def test_a_stranger_does_not_learn_who_exists(gateway, peer):
    replies = [
        await peer.send(unsigned("POST", shares_of(gateway), peer.share(address(gateway, user))))
        for user in ("alice", "nobody")
    ]
    said = [reply.json() | {"request": ""} for reply in replies]
    assert said[0] == said[1]


@pytest.mark.conforms(
    "OCM-6.1-01",
    "OCM-6.1-04",
    "OCM-6.1-06",
    "OCM-6.1-09",
    "OCM-6.1-10",
    "OCM-6.1-13",
    "OCM-6.1-14",
    "OCM-6.1-16",
    "OCM-6.1-17",
    "OCM-6.1-18",
    "OCM-6.1-21",
    "OCM-6.1-26",
    "OCM-6.1-31",
    "OCM-6.1-38",
    "OCM-6.1-42",
    "OCM-6.1-51",
    "OCM-6.1-62",
    "OCM-6.1-64",
    "OCM-6.1-65",
    "OCM-6.2-04",
    "OCM-6.2-05",
    "OCM-6.2-08",
    "OCM-6.3-09",
    "OCM-8-13",
)
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        *(({name: None}, 400) for name in ("shareWith", "name", "providerId", "owner")),
        *(({name: None}, 400) for name in ("sender", "shareType", "resourceType", "protocol")),
        *(({name: 1}, 400) for name in ("shareWith", "name", "providerId", "owner", "sender")),
        ({"owner": "no address"}, 400),
        ({"shareType": "group"}, 501),
        ({"shareType": "federation"}, 501),
        ({"shareType": "room"}, 501),
        ({"resourceType": "printer"}, 501),
        ({"expiration": "tomorrow"}, 400),
        ({"expiration": 1}, 400),
        ({"expiration": -1}, 400),
        ({"expiration": 1.5}, 400),
        ({"protocol": []}, 400),
        ({"protocol": "webdav"}, 400),
        ({"protocol": {"name": "multi"}}, 400),
        ({"protocol": {"name": "webdav"}}, 400),
        ({"protocol": {"name": "webdav", "options": {}}}, 400),
        ({"protocol": {"name": "multi", "ssh": {"uri": "a@b:22/x"}}}, 501),
        ({"protocol": {"name": "multi", "talk": {}}}, 501),
        ({"protocol": {"name": "multi", "webdav": webdav(uri="")}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(uri="../x")}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(uri="a/%2e%2e/b")}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(uri="a?b")}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(uri="//evil.example/x")}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(uri="http://evil.example/x")}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(sharedSecret=None)}}, 400),
        ({"protocol": {"name": "multi", "webdav": webdav(requirements=["must-fly"])}}, 501),
        ({"protocol": {"name": "multi", "webdav": webdav(requirements=["must-use-mfa"])}}, 501),
        ({"protocol": {"name": "multi", "webdav": webdav(accessTypes=["datatx"])}}, 501),
        ({"protocol": {"name": "multi", "webdav": webdav(permissions="read")}}, 400),
    ],
    ids=str,
)
async def test_one_defect_is_enough(gateway, peer, changes, status):
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway), **changes))
    refused(reply, status)
    await leaves_no_trace(gateway)
    assert b"sharedSecret" not in reply.body or b"validationErrors" in reply.body


@pytest.mark.conforms("OCM-5.3-29", "OCM-6.1-20", "OCM-6.1-27", "OCM-6.1-28", "OCM-6.1-29")
@pytest.mark.parametrize(
    "changes",
    [
        {"resourceType": "file"},
        {"protocol": {"name": "webdav", "options": {"sharedSecret": "s"}}},
        {"protocol": {"name": "webdav", "webdav": webdav()}},
        {"protocol": {"webdav": webdav()}},
        {"protocol": {"name": "multi", "webdav": webdav(), "ssh": {"uri": "a@b:22/x"}}},
        {"protocol": {"name": "multi", "webdav": webdav(permissions=["read", "fly"])}},
        {"expiration": int(time.time()) + 3600},
        {"somethingNew": {"a": 1}},
        {"description": None},
    ],
    ids=str,
)
async def test_every_generation_is_understood(gateway, peer, changes):
    body = peer.share(address(gateway), **changes)
    assert (await peer.post(shares_of(gateway), body)).status == 201


@pytest.mark.conforms("OCM-6-05")
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 60_000]
)
async def test_malformed_json_is_refused(gateway, peer, body):
    refused(await peer.post(shares_of(gateway), body), 400, "MALFORMED")
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-6-05")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_another_content_type_is_refused(gateway, peer, kind):
    body = peer.share(address(gateway))
    refused(await peer.post(shares_of(gateway), body, content_type=kind), 400)
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-6-05")
async def test_a_charset_does_no_harm(gateway, peer):
    kind = "application/json; charset=utf-8"
    body = peer.share(address(gateway))
    assert (await peer.post(shares_of(gateway), body, content_type=kind)).status == 201


async def test_another_encoding_than_utf_8_is_refused(gateway, peer):
    kind = "application/json; charset=utf-16"
    refused(
        await peer.post(shares_of(gateway), peer.share(address(gateway)), content_type=kind), 400
    )
    await leaves_no_trace(gateway, peer)


@pytest.mark.parametrize(
    ("origin", "status"), [("{origin}", 200), ("http://evil.example", 400), ("ftp://x", 400)]
)
async def test_a_target_in_absolute_form_is_taken_when_it_is_ours(gateway, origin, status):
    target = f"{origin.format(origin=gateway.ours.origin)}/.well-known/ocm"
    host, _, port = gateway.ours.authority.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {gateway.ours.authority}\r\nConnection: close\r\n\r\n"
    )
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.conforms("OCM-GW-05")
async def test_an_oversized_body_is_refused(gateway, peer):
    body = peer.share(address(gateway), description="x" * 70_000)
    refused(await peer.post(shares_of(gateway), body), 413)
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-GW-05")
async def test_an_oversized_body_of_unknown_length_is_refused(gateway, peer):
    async def endless():
        for _ in range(100):
            yield b"x" * 1000

    async with peer.session.post(shares_of(gateway), data=endless()) as reply:
        assert reply.status == 413
    await leaves_no_trace(gateway, peer)


async def test_a_compressed_body_is_refused(gateway, peer):
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    refused(await peer.send(sent.having(Content_Encoding="gzip")), 400)
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-RFC9421-07")
async def test_a_query_means_nothing_and_has_to_be_signed(gateway, peer):
    url = f"{shares_of(gateway)}?x=1"
    bare = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    refused(await peer.send(replace(bare, url=url)), 401)
    await leaves_no_trace(gateway)
    assert (await peer.post(url, peer.share(address(gateway)))).status == 201


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_shares_are_posted(gateway, peer, method):
    reply = await get(peer, shares_of(gateway), method)
    refused(reply, 405)
    assert reply.headers["Allow"] == "POST"


@pytest.mark.conforms("OCM-5.3-32")
async def test_shares_without_the_exchange_are_refused_where_it_is_demanded(opened, peer):
    gateway = await opened(sharing={"require_exchange": True})
    protocol = {"name": "multi", "webdav": webdav(requirements=[])}
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway), protocol=protocol))
    refused(reply, 403)
    await leaves_no_trace(gateway)
    await send_share(peer, gateway)


@pytest.mark.conforms("OCM-6.2-09")
async def test_a_storage_that_is_down_is_no_answer_about_a_user(opened, peer):
    gateway = await opened(storage_url=f"http://127.0.0.1:{free_port()}/dav")
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    refused(reply, 503)
    assert reply.headers["Retry-After"]
    await leaves_no_trace(gateway)


async def test_the_same_share_many_times_at_once_is_one(gateway, peer):
    body = peer.share(address(gateway))
    replies = await asyncio.gather(*(peer.post(shares_of(gateway), body) for _ in range(10)))
    assert {reply.status for reply in replies} == {201}
    assert len(await gateway.receiving.inbox()) == 1


@pytest.mark.conforms("OCM-6.2-12")
async def test_the_same_share_twice_is_one(gateway, peer):
    body = peer.share(address(gateway))
    for _ in range(2):
        assert (await peer.post(shares_of(gateway), body)).status == 201
    assert len(await gateway.receiving.inbox()) == 1


async def test_a_share_cannot_be_exchanged_for_another_under_its_id(gateway, peer):
    body = peer.share(address(gateway))
    assert (await peer.post(shares_of(gateway), body)).status == 201
    refused(await peer.post(shares_of(gateway), body | {"name": "other"}), 409)
    [share] = await gateway.receiving.inbox()
    assert share.name == "from afar"


async def test_too_many_requests_are_slowed_down(opened, peer):
    gateway = await opened(limits={"ocm_requests_per_minute": 3}, testing={"rate_limits": True})
    for _ in range(3):
        assert (await peer.post(shares_of(gateway), b"{}")).status == 400
    reply = await peer.post(shares_of(gateway), peer.share(address(gateway)))
    refused(reply, 429)
    assert 1 <= int(reply.headers["Retry-After"]) <= 20
    await leaves_no_trace(gateway, peer)


# Notifications


def notice(kind, provider_id, **more):
    return {"notificationType": kind, "providerId": provider_id} | more


async def state_of(gateway, share):
    return (await gateway.sending.by_id(share.provider_id)).state


@pytest.mark.conforms("OCM-2.1.1-02", "OCM-5.3-26", "OCM-7.1-04", "OCM-7.1-06", "OCM-7.1-07")
@pytest.mark.parametrize(
    ("kind", "state"),
    [("SHARE_ACCEPTED", SentState.ACCEPTED), ("SHARE_DECLINED", SentState.DECLINED)],
)
async def test_the_receiving_server_says_what_became_of_a_share(gateway, peer, kind, state):
    share = await create_share(gateway, peer)
    for _ in range(2):  # a repetition changes nothing
        body = notice(kind, share.provider_id, resourceType="folder", notification={"a": 1})
        reply = await peer.post(notifications_of(gateway), body)
        assert (reply.status, reply.json()) == (201, {})
        assert await state_of(gateway, share) is state


@pytest.mark.conforms("OCM-10-01")
async def test_unshared_by_the_receiving_server_means_declined(gateway, peer, other):
    share = await create_share(gateway, peer)
    for kind in ("SHARE_ACCEPTED", "SHARE_UNSHARED"):
        reply = await peer.post(notifications_of(gateway), notice(kind, share.provider_id))
        assert reply.status == 201
    assert await state_of(gateway, share) is SentState.DECLINED
    another = await create_share(gateway, peer)
    reply = await other.post(
        notifications_of(gateway), notice("SHARE_UNSHARED", another.provider_id)
    )
    refused(reply, 400)
    assert await state_of(gateway, another) is SentState.SENT


async def test_a_declined_share_is_not_revived(gateway, peer):
    share = await create_share(gateway, peer)
    for kind in ("SHARE_DECLINED", "SHARE_ACCEPTED"):
        await peer.post(notifications_of(gateway), notice(kind, share.provider_id))
    assert await state_of(gateway, share) is SentState.DECLINED


@pytest.mark.conforms("OCM-7-09", "OCM-17.3-05")
@pytest.mark.parametrize("kind", ["SHARE_ACCEPTED", "SHARE_DECLINED"])
async def test_another_server_has_no_say_in_a_sent_share(gateway, peer, other, kind):
    share = await create_share(gateway, peer)
    reply = await other.post(notifications_of(gateway), notice(kind, share.provider_id))
    refused(reply, 403, "NOT_ALLOWED")
    assert await state_of(gateway, share) is SentState.SENT
    assert other.seen == []


@pytest.mark.conforms("OCM-7-09")
async def test_another_server_has_no_say_in_a_received_share(gateway, peer, other):
    body = await send_share(peer, gateway)
    reply = await other.post(
        notifications_of(gateway), notice("SHARE_UNSHARED", body["providerId"])
    )
    refused(reply, 403, "NOT_ALLOWED")
    assert len(await gateway.receiving.inbox()) == 1
    assert other.seen == []


@pytest.mark.conforms("OCM-7-08", "OCM-5.3-31")
@pytest.mark.parametrize("kind", ["SHARE_ACCEPTED", "SHARE_UNSHARED"])
async def test_an_unsigned_notification_changes_nothing(gateway, peer, kind):
    sent = await create_share(gateway, peer)
    received = await send_share(peer, gateway)
    share = sent.provider_id if kind == "SHARE_ACCEPTED" else received["providerId"]
    reply = await peer.send(unsigned("POST", notifications_of(gateway), notice(kind, share)))
    refused(reply, 401, "UNSIGNED")
    assert await state_of(gateway, sent) is SentState.SENT
    assert len(await gateway.receiving.inbox()) == 1


@pytest.mark.conforms("OCM-7.1-02")
@pytest.mark.parametrize("kind", ["SHARE_ACCEPTED", "SHARE_DECLINED", "SHARE_UNSHARED"])
async def test_an_unknown_share_is_named_as_such(gateway, peer, kind):
    reply = await peer.post(notifications_of(gateway), notice(kind, "unknown"))
    refused(reply, 400)
    assert reply.json()["validationErrors"][0]["name"] == "providerId"


async def test_a_stranger_does_not_learn_what_exists(gateway, peer):
    share = await create_share(gateway, peer)
    replies = [
        await peer.send(unsigned("POST", notifications_of(gateway), notice("SHARE_ACCEPTED", one)))
        for one in (share.provider_id, "unknown")
    ]
    assert [reply.status for reply in replies] == [401, 401]


@pytest.mark.conforms("OCM-7.1-05")
@pytest.mark.parametrize("kind", ["FOO", "share_accepted"])
async def test_an_unknown_type_is_unsupported(gateway, peer, kind):
    share = await create_share(gateway, peer)
    refused(await peer.post(notifications_of(gateway), notice(kind, share.provider_id)), 501)
    assert await state_of(gateway, share) is SentState.SENT


@pytest.mark.conforms("OCM-7.1-01", "OCM-7.1-02", "OCM-7.1-04")
@pytest.mark.parametrize(
    "body",
    [
        {"providerId": "x"},
        {"notificationType": "SHARE_ACCEPTED"},
        {"notificationType": 1, "providerId": "x"},
        {"notificationType": "SHARE_ACCEPTED", "providerId": 1},
        {"notificationType": "SHARE_ACCEPTED", "providerId": "x", "notification": "y"},
    ],
    ids=str,
)
async def test_a_malformed_notification_is_refused(gateway, peer, body):
    refused(await peer.post(notifications_of(gateway), body), 400)


async def test_a_replayed_notification_is_refused(gateway, peer):
    share = await create_share(gateway, peer)
    sent = peer.signed(
        "POST", notifications_of(gateway), notice("SHARE_ACCEPTED", share.provider_id)
    )
    assert (await peer.send(sent)).status == 201
    refused(await peer.send(sent), 401, "BAD_SIGNATURE")


@pytest.mark.conforms("OCM-GW-10")
async def test_a_server_denied_since_has_no_say(opened, peer):
    port = free_port()
    public = {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    share = await create_share(await opened(public=public), peer)
    listen = f"127.0.0.1:{free_port()}"
    denying = await opened(
        public=public | {"listen": listen}, policy={"default": "allow", "deny": [peer.authority]}
    )
    body = notice("SHARE_DECLINED", share.provider_id)
    sent = peer.signed("POST", notifications_of(denying), body)
    moved = type(sent)("POST", f"http://{listen}/ocm/notifications", sent.headers, sent.body)
    refused(await peer.send(moved), 403, "NOT_ALLOWED")
    assert await state_of(denying, share) is SentState.SENT


async def test_every_answer_names_its_request(gateway, peer):
    reply = await peer.post(shares_of(gateway), b"{}")
    assert reply.headers["X-Request-Id"] == reply.json()["request"]
    assert reply.headers["Server"] == "ocm-gateway"
    assert isinstance(reply.headers, CIMultiDict)


@pytest.mark.conforms("OCM-RFC4918-10", "OCM-14.3-03")
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"BREW / HTTP/1.1", 501),
        (b"BREW /remote/dav/ocm/x HTTP/1.1", 501),
        (b"get / HTTP/1.1", 501),
        (b"GET / HTTP/9.1", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nAuthorization: Bearer sec\0ret-token", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1", 400),
        (b"POST /ocm/shares HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4", 400),
        (b"POST /ocm/shares HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", 400),
    ],
)
async def test_what_is_not_http_is_told_nothing_and_not_repeated(
    gateway, capfd, caplog, head, status
):
    host, port = gateway.ours.authority.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + b"\r\nHost: x\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.0 %d " % status, b"HTTP/1.1 %d " % status))
    log = "".join(capfd.readouterr())
    fields, _, body = answer.decode().partition("\r\n\r\n")
    request = json.loads(body)["request"]
    assert f"X-Request-Id: {request}" in fields
    assert re.search(rf"http\.malformed .*request={request}", log)
    told = [answer.decode(), log, caplog.text]
    for word in ("aiohttp", "Python", "ret-token", "Traceback"):
        assert not any(word in text for text in told)
