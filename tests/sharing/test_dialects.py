"""Shares for servers of every generation: in a form that they take, once each, and what then
opens."""

import base64
from urllib.parse import parse_qs

import pytest

from gateway.model import SentState
from gateway.ocm.address import authority
from gateway.store import outbox
from tests.peer import Answer
from tests.sharing.stage import create_share, token_of, visit

SHARES = "POST /ocm/shares"
OCS = "POST /ocs/v2.php/cloud/shares"
TAKEN = {"ocs": {"meta": {"status": "ok", "statuscode": 200, "message": None}, "data": []}}


def speaks(peer, root="/public.php/webdav/", **changes):
    """Let the peer publish another document."""
    peer.document |= {"apiVersion": "1.0-proposal1", "capabilities": []} | changes
    for entry in peer.document.get("resourceTypes") or []:
        entry["protocols"] = {"webdav": root}
    for name in [name for name, value in peer.document.items() if value is None]:
        del peer.document[name]


def old_nextcloud(peer):
    speaks(peer, tokenEndPoint=None)


def owncloud(peer):
    speaks(
        peer,
        tokenEndPoint=None,
        resourceTypes=None,
        shareTypes=[{"name": "file", "protocols": {"webdav": "/public.php/webdav/"}}],
    )


def new_nextcloud(peer):
    speaks(peer, apiVersion="1.1.2", capabilities=["notifications", "exchange-token", "http-sig"])


def opencloud(peer):
    speaks(
        peer, "/remote.php/dav/ocm/", apiVersion="1.2.0", tokenEndPoint=None,
        capabilities=["invites", "webdav-uri", "protocol-object"],
    )  # fmt: skip


def vague(peer):
    speaks(peer, "/dav/", apiVersion="1.2.0", capabilities=["notifications"], tokenEndPoint=None)


def basic(secret, password=""):
    return "Basic " + base64.b64encode(f"{secret}:{password}".encode()).decode()


# What is sent


@pytest.mark.conforms("OCM-6.1-33")
@pytest.mark.parametrize("kind", [old_nextcloud, owncloud])
async def test_servers_of_1_0_get_the_secret_in_options(gateway, peer, kind):
    kind(peer)
    share = await create_share(gateway, peer)
    assert (share.state, share.form, share.at_root) == (SentState.SENT, "options", True)
    [seen] = peer.requests(SHARES)
    body = seen.json()
    assert body["protocol"] == {
        "name": "webdav",
        "options": {
            "sharedSecret": share.shared_secret,
            "permissions": "{http://open-cloud-mesh.org/ns}share-permissions",
        },
    }
    assert body["resourceType"] == "file"  # they know no folders
    # Without the scheme they would come by https.
    assert body["owner"] == body["sender"] == body["sharedBy"] == f"alice@{gateway.ours.origin}"
    assert body["shareWith"] == f"einstein@{peer.authority}"


async def test_seafile_gets_what_it_splits_on_http(gateway, peer):
    speaks(peer, "seafdav", endPoint=f"{peer.origin}/ocm-via-webdav/", tokenEndPoint=None)
    peer.on("POST /ocm-via-webdav/shares", Answer(201, {}))
    share = await create_share(gateway, peer)
    assert share.state is SentState.SENT
    body = peer.requests("POST")[0].json()
    assert body["shareWith"] == f"einstein@https://{peer.authority}"
    assert body["protocol"]["options"]["permissions"] == "read"


async def test_opencloud_gets_an_absolute_uri_and_no_options(gateway, peer):
    opencloud(peer)
    share = await create_share(gateway, peer)
    access = peer.requests(SHARES)[0].json()["protocol"]
    uri = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"
    assert access["webdav"]["uri"] == uri
    assert access["name"] == "multi"
    assert "options" not in access
    assert not share.at_root


async def test_a_new_nextcloud_exchanges_and_comes_to_the_root(gateway, peer):
    new_nextcloud(peer)
    share = await create_share(gateway, peer)
    assert share.must_exchange_token
    assert share.at_root
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, "", token)).status == 207
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    assert (await visit(gateway, peer, "", share.shared_secret)).status == 401
    assert (await visit(gateway, peer, "", basic(share.shared_secret))).status == 401


# When a form is not understood


@pytest.mark.parametrize("status", [400, 501])
async def test_a_form_that_is_refused_is_followed_by_the_next_once(gateway, peer, status):
    vague(peer)
    peer.on(SHARES, Answer(status), Answer(201, {}))
    share = await create_share(gateway, peer)
    assert (share.state, share.form) == (SentState.SENT, "absolute")
    first, second = (one.json() for one in peer.requests(SHARES))
    assert first["providerId"] == second["providerId"]
    assert first["protocol"]["webdav"]["uri"] == share.provider_id
    secrets = {one["protocol"]["webdav"]["sharedSecret"] for one in (first, second)}
    assert secrets == {share.shared_secret}


async def test_the_lesson_is_remembered(gateway, peer):
    vague(peer)
    peer.on(SHARES, Answer(501), Answer(201, {}))
    await create_share(gateway, peer)
    await create_share(gateway, peer)
    uris = [one.json()["protocol"]["webdav"]["uri"] for one in peer.requests(SHARES)]
    assert ["://" in uri for uri in uris] == [False, True, True]
    [lesson] = await gateway.others.dialects.lessons()
    assert (lesson.provider, lesson.dialect, lesson.form) == (peer.authority, "vague", "absolute")
    assert await gateway.others.dialects.forget(lesson.provider)
    await create_share(gateway, peer)
    assert "://" not in peer.requests(SHARES)[-1].json()["protocol"]["webdav"]["uri"]


async def test_a_lesson_about_software_that_was_replaced_is_worth_nothing(gateway, peer):
    vague(peer)
    peer.on(SHARES, Answer(501), Answer(201, {}))
    await create_share(gateway, peer)
    peer.document |= {"capabilities": ["protocol-object"], "apiVersion": "1.3.0"}
    share = await create_share(gateway, peer)
    assert share.form == "relative"


async def test_two_forms_are_tried_and_no_more(gateway, peer):
    vague(peer)
    peer.on(SHARES, Answer(400, {"message": "never"}))
    share = await create_share(gateway, peer)
    assert share.state is SentState.REFUSED
    assert "never" in share.reason
    assert len(peer.requests(SHARES)) == 2
    assert await gateway.others.dialects.lessons() == []


@pytest.mark.parametrize("status", [401, 403, 404, 409])
async def test_a_no_is_not_a_question_of_form(gateway, peer, status):
    vague(peer)
    peer.on(SHARES, Answer(status))
    assert (await create_share(gateway, peer)).state is SentState.REFUSED
    assert len(peer.requests(SHARES)) == 1


@pytest.mark.parametrize("first", [Answer(500), Answer(503), Answer(hang_up=True)], ids=repr)
async def test_what_may_have_been_kept_is_never_sent_in_another_form(gateway, peer, first):
    vague(peer)
    peer.on(SHARES, first, Answer(501), Answer(201, {}))
    share = await create_share(gateway, peer)
    assert share.state is SentState.PENDING
    entry = (await gateway.state.database.read(outbox.all_entries))[0]
    await gateway.outbox.attempt(entry.id)
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.REFUSED
    assert len({one.body for one in peer.requests(SHARES)}) == 1


async def test_the_form_before_ocm_is_the_last_resort(gateway, peer):
    owncloud(peer)
    peer.on(SHARES, Answer(200, b"<html>log in</html>"))  # as ownCloud answers what it has not
    peer.on(f"{OCS}?format=json", Answer(200, TAKEN))
    share = await create_share(gateway, peer)
    assert (share.state, share.form) == (SentState.SENT, "ocs")
    [seen] = peer.requests(OCS)
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
    assert form == {
        "shareWith": "einstein",
        "token": share.shared_secret,
        "name": "trip",
        "remoteId": share.provider_id,
        "owner": "alice",
        "ownerFederatedId": f"alice@{gateway.ours.origin}",
        "sharedBy": "alice",
        "sharedByFederatedId": f"alice@{gateway.ours.origin}",
        "remote": f"{gateway.ours.origin}/",
    }


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"ocs": {"meta": {"statuscode": 400, "message": "User does not exist"}}}),
        Answer(200, {"ocs": {"meta": {"statuscode": 998}}}),
        Answer(200, b"<html>"),
        Answer(200, []),
    ],
    ids=repr,
)
async def test_a_refusal_of_the_last_resort_is_one(gateway, peer, answer):
    owncloud(peer)
    peer.on(SHARES, Answer(400))
    peer.on(f"{OCS}?format=json", answer)
    assert (await create_share(gateway, peer)).state is SentState.REFUSED


async def test_a_demanded_exchange_is_never_given_up_for_an_older_form(gateway, peer):
    new_nextcloud(peer)
    peer.on(SHARES, Answer(501), Answer(201, {}))
    share = await create_share(gateway, peer, must_exchange_token=True)
    assert share.state is SentState.REFUSED
    assert len(peer.requests(SHARES)) == 1
    loose = await create_share(gateway, peer)  # where it was only wished for
    assert loose.state is SentState.SENT


async def test_a_demanded_exchange_is_refused_by_servers_of_1_0(gateway, peer):
    old_nextcloud(peer)
    share = await create_share(gateway, peer, must_exchange_token=True)
    assert share.state is SentState.REFUSED
    assert "cannot exchange tokens" in share.reason
    assert peer.requests("POST") == []


# What the operator says


@pytest.mark.conforms("OCM-6.1-33")
async def test_without_legacy_access_servers_of_1_0_are_sent_nothing(opened, peer):
    gateway = await opened(sharing={"legacy_access": False})
    old_nextcloud(peer)
    share = await create_share(gateway, peer)
    assert share.state is SentState.REFUSED
    assert "legacy_access" in share.reason
    assert peer.requests("POST") == []


async def test_legacy_access_can_be_allowed_for_one_server(opened, peer, other):
    known = {"server": peer.authority, "legacy_access": True}
    gateway = await opened(sharing={"legacy_access": False}, dialects={"servers": [known]})
    for one in (peer, other):
        old_nextcloud(one)
    share = await create_share(gateway, peer)
    assert share.state is SentState.SENT
    assert (await visit(gateway, peer, "", basic(share.shared_secret))).status == 207
    assert (await create_share(gateway, other)).state is SentState.REFUSED


async def test_legacy_access_can_be_refused_to_one_server(opened, peer):
    known = {"server": peer.authority, "legacy_access": False}
    gateway = await opened(sharing={"legacy_access": True}, dialects={"servers": [known]})
    share = await create_share(gateway, peer, must_exchange_token=False)
    assert (await visit(gateway, peer, "", basic(share.shared_secret))).status == 401
    assert (await visit(gateway, peer, share.provider_id, share.shared_secret)).status == 207


async def test_the_operator_knows_better(opened, peer):
    known = {"server": "127.0.0.1", "dialect": "opencloud"}
    gateway = await opened(dialects={"servers": [known]})
    share = await create_share(gateway, peer)
    assert share.form == "absolute"
    document = await gateway.others.discoveries.discover(authority(peer.authority))
    speech = await gateway.others.dialects.speech(authority(peer.authority), document)
    assert (speech.dialect.name, speech.source) == ("opencloud", "configuration")


# What opens


@pytest.mark.conforms("OCM-8-19")
async def test_a_share_of_1_0_opens_at_the_root_for_any_password(gateway, peer):
    old_nextcloud(peer)
    share = await create_share(gateway, peer)
    for password in ("", "x", ":::"):
        credential = basic(share.shared_secret, password)
        reply = await visit(gateway, peer, "", credential)
        assert reply.status == 207
        assert b"href>/remote/dav/ocm/</" in reply.body
        assert (await visit(gateway, peer, "day.txt", credential, method="GET")).body == b"sunny"
    named = await visit(gateway, peer, share.provider_id, basic(share.shared_secret))
    assert named.status == 207
    assert f"/remote/dav/ocm/{share.provider_id}/".encode() in named.body
    assert (await visit(gateway, peer, "", share.shared_secret)).status == 207


async def test_a_shared_file_of_1_0_is_the_root_itself(gateway, peer):
    old_nextcloud(peer)
    share = await create_share(gateway, peer, "/letter.txt")
    for path in ("", share.provider_id, f"{share.provider_id}/letter.txt"):
        reply = await visit(gateway, peer, path, basic(share.shared_secret), method="GET")
        assert reply.body == b"Dear Bob", path


async def test_a_share_of_the_drafts_does_not_open_without_its_id(gateway, peer):
    peer.document["capabilities"].remove("exchange-token")
    share = await create_share(gateway, peer)
    assert (await visit(gateway, peer, "", share.shared_secret)).status == 404
    assert (await visit(gateway, peer, "", basic(share.shared_secret))).status == 401
