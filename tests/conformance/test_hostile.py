"""Messages with one defect, odd HTTP, hostile paths and races: the right answer, and nothing else
happens."""

import asyncio
import json

import pytest

from gateway import app
from gateway.errors import Conflict
from gateway.model import Permission, ReceivedState, SentState
from tests.peer import unsigned, webdav
from tests.sharing.stage import (
    ALICE,
    address,
    counts,
    create_share,
    leaves_no_trace,
    notifications_of,
    receive_share,
    send_share,
    shares_of,
    token_of,
)

WRITE = frozenset({Permission.READ, Permission.WRITE})
NO_TEXTS = (None, "", 0, 1.5, True, [], {}, ["x"], "a\0b", "a\nb", "x" * 5000)
TEXTS = ("shareWith", "name", "providerId", "owner", "sender", "shareType", "resourceType")


async def raw(gateway, head: str, body: bytes = b"", *, host: str = "") -> bytes:
    """What is answered to exactly these bytes; Host and the end of the head are added."""
    ours = gateway.ours.authority
    reader, writer = await asyncio.open_connection(*ours.split(":"))
    end = f"Host: {host or ours}\r\nConnection: close\r\n\r\n"
    writer.write(f"{head}\r\n{end}".encode() + body)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# Bodies


@pytest.mark.conforms(
    "OCM-6.1-01", "OCM-6.1-04", "OCM-6.1-06", "OCM-6.1-09", "OCM-6.1-10", "OCM-6.1-13", "OCM-6.1-18"
)
@pytest.mark.parametrize("name", TEXTS)
async def test_a_required_text_is_a_text_of_some_length(gateway, peer, name):
    for value in NO_TEXTS:
        body = peer.share(address(gateway)) | {name: value}
        reply = await peer.post(shares_of(gateway), body)
        assert reply.status == 400, value
        named = [fault["name"] for fault in reply.json()["validationErrors"]]
        assert named == [name], value
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.1-26", "OCM-6.1-38", "OCM-6.1-42", "OCM-6.2-05")
@pytest.mark.parametrize("name", ["uri", "sharedSecret"])
async def test_address_and_secret_of_a_share_are_texts_of_some_length(gateway, peer, name):
    for value in NO_TEXTS:
        protocol = {"name": "multi", "webdav": webdav() | {name: value}}
        body = peer.share(address(gateway), protocol=protocol)
        assert (await peer.post(shares_of(gateway), body)).status == 400, value
    for value in (None, "", 0, True, [], "multi"):
        body = peer.share(address(gateway)) | {"protocol": value}
        assert (await peer.post(shares_of(gateway), body)).status == 400, value
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.1-44", "OCM-6.1-34", "OCM-6.1-50")
@pytest.mark.parametrize("name", ["permissions", "requirements", "accessTypes"])
async def test_lists_are_lists(gateway, peer, name):
    for value in ("", "read", 0, True, {}, [1], [None], [["read"]]):
        protocol = {"name": "multi", "webdav": webdav() | {name: value}}
        body = peer.share(address(gateway), protocol=protocol)
        assert (await peer.post(shares_of(gateway), body)).status == 400, value
    await leaves_no_trace(gateway)


@pytest.mark.conforms("OCM-6.1-21")
async def test_an_expiration_is_a_whole_number_of_seconds_to_come(gateway, peer):
    for value in ("", "1", 0, -1, 1.5, 2.0e9, True, [], {}, 2**63, 10**30):
        body = peer.share(address(gateway)) | {"expiration": value}
        assert (await peer.post(shares_of(gateway), body)).status == 400, value
    await leaves_no_trace(gateway)


def spoiled(text: str) -> dict[str, bytes]:
    """A good body in bad shapes; `from afar` is one of its texts."""
    added = text[:-1]
    return {
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "Latin 1": text.replace("from afar", "caf\u00e9").encode("latin1"),
        "half a surrogate": text.replace("from afar", r"\ud800").encode(),
        "not a number": text.replace('"from afar"', "NaN").encode(),
        "infinity": text.replace('"from afar"', "-Infinity").encode(),
        "more than a number": f'{added},"x":1e999}}'.encode(),
        "more digits than one": f'{added},"x":{"9" * 5000}}}'.encode(),
        "a second value": text.encode() + b"{}",
        "a comma too many": f"{added},}}".encode(),
        "a member twice": f'{added},"x":1,"x":1}}'.encode(),
        "a member twice inside": f'{added},"x":{{"y":1,"y":1}}}}'.encode(),
        "too deep": f'{added},"x":{"[" * 500}{"]" * 500}}}'.encode(),
        "much too deep": f'{added},"x":{"[" * 20_000}{"]" * 20_000}}}'.encode(),
        "other quotes": text.replace('"', "'").encode(),
        "a comment": b"/**/" + text.encode(),
        "blanks": b" \n ",
        "a list around it": f"[{text}]".encode(),
        "cut off": text[:-2].encode(),
    }


SHAPES = tuple(spoiled("{}"))


@pytest.mark.conforms("OCM-6-05")
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_share_in_a_bad_shape_is_refused_and_nobody_is_asked(gateway, peer, shape):
    body = spoiled(json.dumps(peer.share(address(gateway))))[shape]
    reply = await peer.post(shares_of(gateway), body)
    assert reply.status == 400
    assert reply.json()["code"] == "MALFORMED"
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-7.1-01")
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_notification_in_a_bad_shape_is_refused(gateway, peer, shape):
    share = await create_share(gateway, peer)
    good = {
        "notificationType": "SHARE_DECLINED",
        "providerId": share.provider_id,
        "resourceType": "from afar",
    }
    reply = await peer.post(notifications_of(gateway), spoiled(json.dumps(good))[shape])
    assert reply.status == 400
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT


@pytest.mark.conforms("OCM-7.1-01", "OCM-7.1-02", "OCM-7.1-04")
async def test_members_of_a_notification_have_their_types(gateway, peer):
    share = await create_share(gateway, peer)
    good = {"notificationType": "SHARE_DECLINED", "providerId": share.provider_id}
    for name in good:
        for value in (None, "", 0, 1.5, True, [], {}, "a\0b"):
            reply = await peer.post(notifications_of(gateway), good | {name: value})
            assert reply.status == 400, (name, value)
    for name, values in {"resourceType": (0, True, [], {}), "notification": (1, True, "x")}.items():
        for value in values:
            reply = await peer.post(notifications_of(gateway), good | {name: value})
            assert reply.status == 400, (name, value)
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT


@pytest.mark.conforms("OCM-4.4.4-06", "OCM-4.4.4-09")
@pytest.mark.parametrize("shape", SHAPES)
async def test_an_acceptance_in_a_bad_shape_leaves_the_token_good(gateway, peer, shape):
    invite = await gateway.inviting.create_invite("alice")
    good = {
        "recipientProvider": peer.authority,
        "token": invite.token,
        "userID": "einstein",
        "email": "",
        "name": "from afar",
    }
    url = f"{gateway.ours.end_point}/invite-accepted"
    assert (await peer.post(url, spoiled(json.dumps(good))[shape])).status == 400
    assert await gateway.contacts.all() == []
    assert (await peer.post(url, good)).status == 200


@pytest.mark.conforms("OCM-6-05")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json; charset=utf-8", 201),
        ('application/json;charset="UTF-8"', 201),
        ("Application/JSON", 201),
        ("application/ld+json", 400),
        ("application/jsonx", 400),
        ("application/json, text/plain", 400),
        ("text/plain; x=application/json", 400),
        ("multipart/form-data; boundary=x", 400),
        ("*/*", 400),
        ("", 400),
    ],
)
async def test_only_json_is_json(gateway, peer, kind, expected):
    body = peer.share(address(gateway))
    reply = await peer.post(shares_of(gateway), body, content_type=kind)
    assert reply.status == expected
    assert await counts(gateway) == (0, int(expected == 201), 0)


# HTTP


def wire(
    sent, extra: str = "", *, version: str = "1.1", chunked: bool = False
) -> tuple[str, bytes]:
    """A signed request as head and body, to be spoiled."""
    names = [f"{name}: {value}" for name, value in sent.headers.items()]
    body = sent.body
    if chunked:
        names = [one for one in names if not one.lower().startswith("content-length")]
        names.append("Transfer-Encoding: chunked")
        parts = [body[at : at + 50] for at in range(0, len(body), 50)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    path = "/" + sent.url.split("/", 3)[3]
    head = "\r\n".join([f"{sent.method} {path} HTTP/{version}", *names]) + extra
    return head, body


WITHOUT_LENGTH = ("@method", "@target-uri", "content-digest", "date")


@pytest.mark.conforms("OCM-6-01", "OCM-RFC9530-02")
@pytest.mark.parametrize("how", ["1.0", "chunked", "expect"])
async def test_a_share_is_taken_over_any_kind_of_http(gateway, peer, how):
    covered = {"covered": WITHOUT_LENGTH} if how == "chunked" else {}
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)), **covered)
    version = "1.0" if how == "1.0" else "1.1"
    extra = "\r\nExpect: 100-continue" if how == "expect" else ""
    answer = await raw(gateway, *wire(sent, extra, version=version, chunked=how == "chunked"))
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(interim) == (how == "expect")
    assert status(answer.removeprefix(interim)) == 201


@pytest.mark.conforms("OCM-RFC9421-09")
async def test_a_covered_length_that_does_not_come_proves_nothing(gateway, peer):
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    assert status(await raw(gateway, *wire(sent, chunked=True))) == 401
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-RFC9421-07")
@pytest.mark.parametrize("query", ["?", "?a=b%2Fc"])
async def test_a_share_may_have_a_query_be_it_empty(gateway, peer, query):
    sent = peer.signed("POST", shares_of(gateway) + query, peer.share(address(gateway)))
    assert status(await raw(gateway, *wire(sent))) == 201


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a\\b", "\u00e4", "<x>"])
async def test_a_host_that_is_none_is_refused(gateway, host):
    head = "GET /.well-known/ocm HTTP/1.1"
    assert status(await raw(gateway, head, host="any.example:1")) == 200
    assert status(await raw(gateway, head, host=host)) == 400


async def test_a_head_that_never_ends_is_hung_up_on(opened, monkeypatch):
    monkeypatch.setattr(app, "_IDLE_SECONDS", 0.1)
    gateway = await opened()
    reader, writer = await asyncio.open_connection(*gateway.ours.authority.split(":"))
    writer.write(b"GET /.well-known/ocm HTTP/1.1\r\nHost: x\r\nX-A: ")
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


@pytest.mark.parametrize(
    "extra",
    [
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Host: evil.example",
        "X-A: b\r\n c",
        "X-A : b",
        "X-A: a\0b",
        "Content-Type: text/plain",
        "Content-Encoding: gzip",
        "Content-Encoding: br",
    ],
)
async def test_a_request_that_two_readers_may_read_differently_is_refused(gateway, peer, extra):
    sent = peer.signed("POST", shares_of(gateway), peer.share(address(gateway)))
    assert status(await raw(gateway, *wire(sent, f"\r\n{extra}"))) in (400, 401)
    await leaves_no_trace(gateway, peer)


@pytest.mark.conforms("OCM-RFC8615-04", "OCM-RFC6749-01")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_the_api_is_posted_to(gateway, method):
    for path in ("shares", "notifications", "invite-accepted", "token"):
        answer = await raw(gateway, f"{method} /ocm/{path} HTTP/1.1")
        assert status(answer) == 405
        assert b"Allow: POST\r\n" in answer
    for path in ("/.well-known/ocm", "/.well-known/jwks.json", "/ocm-provider"):
        answer = await raw(gateway, f"{method} {path} HTTP/1.1")
        assert status(answer) == (200 if method in ("GET", "HEAD") else 405)


@pytest.mark.conforms("OCM-RFC8615-02", "OCM-RFC8615-03")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/.well-known/OCM", 404),
        ("/.well-known/ocmx", 404),
        ("/.well-known/ocm%00", 400),
        ("/.well-known/../.well-known/ocm", 400),
        ("/%2e%2e/.well-known/ocm", 400),
        ("/.well-known%2focm", 400),
        ("/.well-known/%6fcm", 200),
    ],
)
async def test_a_document_is_at_its_path_alone(gateway, path, expected):
    assert status(await raw(gateway, f"GET {path} HTTP/1.1")) == expected


@pytest.mark.parametrize(
    "path",
    ["/ocm/./shares", "/ocm/x/../shares", "/ocm/shares%00", "/ocm%2fshares", "/OCM/shares",
     "/ocm/shares;x", "/ocm/shares%20", "/ocm/shares/x"],
)  # fmt: skip
async def test_a_share_elsewhere_is_no_share(gateway, peer, path):
    sent = peer.signed("POST", gateway.ours.origin + path, peer.share(address(gateway)))
    assert status(await raw(gateway, *wire(sent))) in (400, 404)
    await leaves_no_trace(gateway, peer)


# Paths

CLIMBING = (
    "/../letter.txt", "/..", "/./letter.txt", "/%2e/letter.txt", "//../letter.txt",
    "/%2e%2e/letter.txt", "/%2E./letter.txt", "/.%2e/letter.txt",
    "/..%2fletter.txt", "/..%2Fletter.txt", "/%2e%2e%2fletter.txt", "/x/..%2f..%2fletter.txt",
    "/%252e%252e/letter.txt", "/..%252fletter.txt",
    "/..%5cletter.txt", "/..\\letter.txt", "/%5c..%5cletter.txt",
    "/x/../../letter.txt", "/day.txt/../../letter.txt", "/;/../letter.txt", "/..;/letter.txt",
    "/%c0%ae%c0%ae/letter.txt", "/%c0%af..%c0%afletter.txt", "/%e0%80%ae%e0%80%ae/letter.txt",
    "/%00", "/day.txt%00.jpg", "/..%00/letter.txt", "/%0a", "/%0d%0aX:y", "/%7f", "/%ff",
    "/%", "/%2", "/%zz", "/%u002e%u002e/letter.txt", "/\uff0e\uff0e/letter.txt",
)  # fmt: skip
METHODS = {"GET": "", "PROPFIND": "Depth: 0\r\n", "PUT": "", "DELETE": "", "MKCOL": "", "LOCK": ""}


def tree(storage) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() if path.is_file() else b"" for path in storage.root.rglob("*")
    }


@pytest.mark.conforms("OCM-RFC4918-12")
async def test_no_path_climbs_out_of_what_we_share(gateway, peer, storage):
    share = await create_share(gateway, peer, permissions=WRITE)
    bearer = f"Bearer {await token_of(gateway, peer, share)}"
    before = tree(storage)
    for path in CLIMBING:
        for method, extra in METHODS.items():
            head = f"{method} /remote/dav/ocm/{share.provider_id}{path} HTTP/1.1\r\n{extra}"
            answer = await raw(gateway, f"{head}Authorization: {bearer}\r\nContent-Length: 0")
            assert status(answer) in (400, 403, 404, 405), (method, path)
            assert b"Dear Bob" not in answer
    assert tree(storage) == before


@pytest.mark.conforms("OCM-RFC4918-05", "OCM-RFC4918-12")
async def test_no_destination_climbs_out_of_what_we_share(gateway, peer, storage):
    share = await create_share(gateway, peer, permissions=WRITE)
    other = await create_share(gateway, peer, "/letter.txt", permissions=WRITE)
    bearer = f"Bearer {await token_of(gateway, peer, share)}"
    here = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"
    before = tree(storage)
    elsewhere = {
        "": 400, "x": 400, "//evil.example/x": 400, "ftp://evil.example/x": 400,
        "file:///etc/passwd": 400, "http://evil.example/x": 502,
        f"{here}/x?y": 400, f"{here}/x#y": 400, here.replace("//", "//u:p@") + "/x": 400,
        f"{gateway.ours.origin}/remote/dav/ocm/{other.provider_id}/x": 403,
        f"{gateway.ours.origin}/remote/dav/received/x": 403,
    }  # fmt: skip
    climbing = {here + path: 400 for path in CLIMBING if "\\" not in path}
    for method in ("COPY", "MOVE"):
        for destination, expected in (elsewhere | climbing).items():
            head = f"{method} /remote/dav/ocm/{share.provider_id}/day.txt HTTP/1.1\r\n"
            head += f"Authorization: {bearer}\r\nDestination: {destination}"
            assert status(await raw(gateway, head)) == expected, destination
    assert tree(storage) == before


@pytest.mark.conforms("OCM-RFC4918-12")
async def test_no_path_climbs_out_of_what_we_were_given(gateway, peer):
    permissions = {"permissions": ["read", "write"], "uri": "abc"}
    share = await receive_share(peer, gateway, name="given", webdav=permissions)
    for path in CLIMBING:
        for method, extra in METHODS.items():
            head = f"{method} /remote/dav/received/{share.folder}{path} HTTP/1.1\r\n{extra}"
            answer = await raw(gateway, f"{head}Authorization: {ALICE}\r\nContent-Length: 0")
            assert status(answer) in (400, 403, 404, 405), (method, path)
    assert peer.dav == []


# Races


@pytest.mark.conforms("OCM-6.2-12")
async def test_one_share_in_many_requests_at_once_is_one_share(gateway, peer):
    body = peer.share(address(gateway))
    changed = body | {"name": "another"}
    replies = await asyncio.gather(
        *(peer.post(shares_of(gateway), one) for _ in range(10) for one in (body, changed))
    )
    assert sorted({reply.status for reply in replies}) == [201, 409]
    [share] = await gateway.receiving.inbox("alice")
    assert share.name in ("from afar", "another")


@pytest.mark.conforms("OCM-7-10", "OCM-19-05")
async def test_of_decisions_at_once_one_holds_and_is_told(gateway, peer):
    await send_share(peer, gateway)
    [share] = await gateway.receiving.inbox("alice")
    decide = (gateway.receiving.accept, gateway.receiving.accept, gateway.receiving.accept)
    await asyncio.gather(*(verb(share.id) for verb in decide))
    assert len(peer.requests("POST /ocm/notifications")) == 1
    outcomes = await asyncio.gather(
        *(gateway.receiving.decline(share.id) for _ in range(3)), return_exceptions=True
    )
    assert all(one.state is ReceivedState.DECLINED for one in outcomes)
    told = [one.json()["notificationType"] for one in peer.requests("POST /ocm/notifications")]
    assert told == ["SHARE_ACCEPTED", "SHARE_DECLINED"]
    with pytest.raises(Conflict):
        await gateway.receiving.accept(share.id)


@pytest.mark.conforms("OCM-7.1-06")
async def test_notices_at_once_leave_one_final_state(gateway, peer):
    share = await create_share(gateway, peer)
    kinds = ("SHARE_ACCEPTED", "SHARE_DECLINED", "SHARE_UNSHARED") * 4
    replies = await asyncio.gather(
        *(
            peer.post(
                notifications_of(gateway),
                {"notificationType": kind, "providerId": share.provider_id},
            )
            for kind in kinds
        )
    )
    assert {reply.status for reply in replies} == {201}
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.DECLINED


@pytest.mark.conforms("OCM-RFC9421-14")
async def test_one_signature_in_many_requests_at_once_counts_once(gateway, peer):
    share = await create_share(gateway, peer)
    body = {"notificationType": "SHARE_ACCEPTED", "providerId": share.provider_id}
    sent = peer.signed("POST", notifications_of(gateway), body)
    replies = await asyncio.gather(*(peer.send(sent) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [201] + [401] * 19


@pytest.mark.conforms("OCM-GW-07")
async def test_strangers_are_answered_alike_whatever_exists(gateway, peer):
    share = await create_share(gateway, peer)
    bodies = {
        "shares": [peer.share(address(gateway, user)) for user in ("alice", "nobody")],
        "notifications": [
            {"notificationType": "SHARE_DECLINED", "providerId": one}
            for one in (share.provider_id, "unknown")
        ],
    }
    for path, pair in bodies.items():
        replies = [
            await peer.send(unsigned("POST", f"{gateway.ours.end_point}/{path}", one))
            for one in pair
        ]
        said = [one.json() | {"request": ""} for one in replies]
        assert replies[0].status == replies[1].status == 401
        assert said[0] == said[1]
