"""The token endpoint, and what a token opens: each test has one defect."""

import asyncio
import base64
import json

import pytest
from jwcrypto import jwk, jws
from yarl import URL

from gateway.model import Permission, SentState
from tests.peer import FORM, unsigned
from tests.servers import free_port
from tests.sharing.stage import (
    Clock,
    create_share,
    notifications_of,
    request,
    token_of,
    visit,
)

WRITE = frozenset({Permission.READ, Permission.WRITE})


def form(peer, share, **changes):
    fields = {
        "grant_type": "authorization_code",
        "client_id": peer.authority,
        "code": share.shared_secret,
    } | changes
    return "&".join(f"{name}={value}" for name, value in fields.items() if value is not None)


def refused(reply, error):
    """RFC 6749 5.2, with nothing that a cache would keep."""
    assert reply.status == 400, reply.body
    assert reply.json()["error"] == error
    description = reply.json()["error_description"]
    assert description.isascii()
    assert not set('"\\') & set(description)
    uncached(reply)


def uncached(reply):
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Pragma"] == "no-cache"


@pytest.fixture
async def share(gateway, peer):
    share = await create_share(gateway, peer)
    assert share.state is SentState.SENT
    return share


@pytest.fixture
def end_point(gateway):
    return gateway.ours.token_end_point


# The exchange


@pytest.mark.conforms("OCM-5.3-21", "OCM-5.3-23", "OCM-9.2-01", "OCM-9.2-02", "OCM-RFC6749-04")
async def test_a_secret_is_exchanged_for_a_token(gateway, peer, share, end_point):
    reply = await peer.exchange(end_point, share.shared_secret)
    assert reply.status == 200
    uncached(reply)
    answer = reply.json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 300
    assert share.shared_secret not in answer["access_token"]
    assert (await visit(gateway, peer, share.provider_id, answer["access_token"])).status == 207


@pytest.mark.conforms("OCM-9.2-08")
async def test_a_secret_can_be_exchanged_again_and_gives_another_token(gateway, peer, share):
    tokens = [await token_of(gateway, peer, share) for _ in range(5)]
    assert len(set(tokens)) == 5
    for token in tokens:
        assert (await visit(gateway, peer, share.provider_id, token)).status == 207


async def test_a_token_can_be_verified_with_the_published_keys_alone(gateway, peer, share):
    token = await token_of(gateway, peer, share)
    [published] = gateway.ring.jwks()["keys"]
    read = jws.JWS()
    read.allowed_algs = ["EdDSA"]
    read.deserialize(token, jwk.JWK(**published))
    claims = json.loads(read.payload)
    assert read.jose_header["typ"] == "at+jwt"
    assert (claims["iss"], claims["sub"]) == (gateway.ours.origin, "alice")
    assert (claims["aud"], claims["client_id"]) == (share.share_with, peer.authority)
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.conforms("OCM-9.1-09", "OCM-14.3-02", "OCM-RFC6749-07")
async def test_the_exchange_wants_a_signature(peer, share, end_point):
    reply = await peer.send(
        unsigned("POST", end_point, form(peer, share).encode(), content_type=FORM)
    )
    refused(reply, "invalid_client")
    assert len(peer.requests("GET /.well-known/jwks.json")) == 0


@pytest.mark.conforms("OCM-14.3-02")
async def test_the_exchange_wants_a_signature_even_where_others_need_none(opened, peer):
    gateway = await opened(signatures={"required": False})
    share = await create_share(gateway, peer)
    sent = unsigned(
        "POST", gateway.ours.token_end_point, form(peer, share).encode(), content_type=FORM
    )
    refused(await peer.send(sent), "invalid_client")


@pytest.mark.conforms("OCM-9.1-06", "OCM-RFC6749-06")
async def test_a_share_can_be_exchanged_only_by_its_own_server(peer, other, share, end_point):
    refused(await other.exchange(end_point, share.shared_secret), "invalid_grant")


@pytest.mark.conforms("OCM-9.1-06", "OCM-17.3-05")
async def test_another_servers_signature_under_the_right_name_is_refused(
    peer, other, share, end_point
):
    body = form(peer, share).encode()
    reply = await other.post(end_point, body, content_type=FORM)
    refused(reply, "invalid_client")


async def test_a_strangers_key_under_the_right_key_id_is_refused(peer, other, share, end_point):
    reply = await peer.exchange(end_point, share.shared_secret, key=other.key, keyid=peer.key.kid)
    refused(reply, "invalid_client")


@pytest.mark.conforms("OCM-9.1-08")
async def test_an_unknown_code_is_refused(peer, share, end_point):
    refused(await peer.exchange(end_point, "unknown"), "invalid_grant")


async def test_a_replayed_token_request_is_refused(peer, share, end_point):
    sent = peer.signed("POST", end_point, form(peer, share).encode(), content_type=FORM)
    assert (await peer.send(sent)).status == 200
    refused(await peer.send(sent), "invalid_client")


@pytest.mark.conforms("OCM-9.1-04", "OCM-9.3-01", "OCM-RFC6749-03", "OCM-RFC6749-05")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "ocm_authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"code": None}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"code": "a&code=b"}, "invalid_request"),
        ({"client_id": "peer.example&client_id=peer.example"}, "invalid_request"),
        ({"client_id": "no%20server"}, "invalid_client"),
        ({"client_id": "elsewhere.example"}, "invalid_client"),
    ],
    ids=str,
)
async def test_one_wrong_parameter_is_enough(peer, share, end_point, changes, error):
    body = form(peer, share, **changes).encode()
    refused(await peer.post(end_point, body, content_type=FORM), error)


@pytest.mark.conforms("OCM-9.1-10")
async def test_unknown_parameters_are_ignored(peer, share, end_point):
    body = form(peer, share, foo="1", redirect_uri="x").encode()
    assert (await peer.post(end_point, body, content_type=FORM)).status == 200


@pytest.mark.conforms("OCM-9.1-02")
async def test_a_json_body_is_no_token_request(peer, share, end_point):
    body = {"grant_type": "authorization_code", "code": share.shared_secret}
    refused(await peer.post(end_point, body), "invalid_request")


async def test_an_oversized_token_request_is_refused(peer, share, end_point):
    body = form(peer, share, foo="x" * 70_000).encode()
    refused(await peer.post(end_point, body, content_type=FORM), "invalid_request")


async def test_a_query_is_no_place_for_a_code(peer, share, end_point):
    url = f"{end_point}?{form(peer, share)}"
    refused(await peer.post(url, b"", content_type=FORM), "invalid_request")


@pytest.mark.conforms("OCM-RFC6749-01")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_the_token_endpoint_takes_posts_only(peer, end_point, method):
    reply = await peer.send(request(method, end_point, b"", {}))
    assert reply.status == 405
    assert reply.headers["Allow"] == "POST"
    uncached(reply)


@pytest.mark.conforms("OCM-9.1-08")
async def test_a_revoked_share_gives_no_token(gateway, peer, share, end_point):
    await gateway.sending.revoke(share.provider_id)
    refused(await peer.exchange(end_point, share.shared_secret), "invalid_grant")


@pytest.mark.conforms("OCM-7-04", "OCM-9.1-08")
async def test_a_declined_share_gives_no_token(gateway, peer, share, end_point):
    body = {"notificationType": "SHARE_DECLINED", "providerId": share.provider_id}
    assert (await peer.post(notifications_of(gateway), body)).status == 201
    refused(await peer.exchange(end_point, share.shared_secret), "invalid_grant")


@pytest.mark.conforms("OCM-6.1-23", "OCM-9.1-08")
async def test_an_expired_share_gives_no_token(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    share = await create_share(gateway, peer, expiration_at=clock() + 10)
    assert (await peer.exchange(gateway.ours.token_end_point, share.shared_secret)).json()[
        "expires_in"
    ] == 10
    clock.now += 10
    reply = await peer.exchange(gateway.ours.token_end_point, share.shared_secret, created=clock())
    refused(reply, "invalid_grant")


# What a token opens


def challenged(reply, error="invalid_token"):
    """RFC 6750 3.1."""
    assert reply.status == 401, reply.body
    assert reply.headers["WWW-Authenticate"].startswith("Bearer ")
    assert (f'error="{error}"' in reply.headers["WWW-Authenticate"]) == bool(error)


@pytest.mark.conforms("OCM-RFC6750-01")
async def test_without_a_token_nothing_opens(gateway, peer, share):
    reply = await visit(gateway, peer, share.provider_id, None)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="ocm"'


@pytest.mark.conforms("OCM-RFC6750-02")
@pytest.mark.parametrize("credential", ["nonsense", "a.b.c", "x" * 9000, "Bearer \xe9"])
async def test_an_invalid_token_opens_nothing(gateway, peer, share, credential):
    challenged(await visit(gateway, peer, share.provider_id, credential))


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_changed_token_opens_nothing(gateway, peer, share, part):
    parts = (await token_of(gateway, peer, share)).split(".")
    middle = len(parts[part]) // 2
    letter = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + letter + parts[part][middle + 1 :]
    challenged(await visit(gateway, peer, share.provider_id, ".".join(parts)))


async def test_an_unsigned_token_opens_nothing(gateway, peer, share):
    _, claims, _ = (await token_of(gateway, peer, share)).split(".")
    header = base64.urlsafe_b64encode(b'{"typ":"at+jwt","alg":"none"}').decode().rstrip("=")
    challenged(await visit(gateway, peer, share.provider_id, f"{header}.{claims}."))


async def test_a_token_of_another_gateway_opens_nothing(opened, gateway, peer, share):
    stranger = await opened(folder="stranger")
    token = await token_of(stranger, peer, await create_share(stranger, peer))
    challenged(await visit(gateway, peer, share.provider_id, token))


@pytest.mark.conforms("OCM-8-18", "OCM-9.2-04")
async def test_the_token_of_another_share_opens_nothing(gateway, peer, share):
    another = await create_share(gateway, peer, "/letter.txt")
    token = await token_of(gateway, peer, another)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404
    assert (await visit(gateway, peer, "unknown", token)).status == 404
    assert (await visit(gateway, peer, another.provider_id, token)).status == 207


@pytest.mark.conforms("OCM-9.2-05", "OCM-RFC6750-02")
async def test_an_expired_token_opens_nothing(opened, peer):
    gateway = await opened(tokens={"lifetime_seconds": 2})
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    await asyncio.sleep(2)
    challenged(await visit(gateway, peer, share.provider_id, token))
    renewed = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, renewed)).status == 207


@pytest.mark.conforms("OCM-2-08")
async def test_revoking_ends_a_living_token_at_once(gateway, peer, share):
    token = await token_of(gateway, peer, share)
    await gateway.sending.revoke(share.provider_id)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404


async def test_revoking_by_another_process_ends_a_living_token_at_once(opened, peer):
    port = free_port()
    public = {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    gateway = await opened(public=public)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    beside = await opened(public=public | {"listen": f"127.0.0.1:{free_port()}"})
    await beside.sending.revoke(share.provider_id)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404


@pytest.mark.conforms("OCM-7-04")
async def test_declining_ends_a_living_token_at_once(gateway, peer, share):
    token = await token_of(gateway, peer, share)
    body = {"notificationType": "SHARE_DECLINED", "providerId": share.provider_id}
    await peer.post(notifications_of(gateway), body)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404


@pytest.mark.conforms("OCM-6.1-23")
async def test_expiry_ends_a_living_token(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    share = await create_share(gateway, peer, expiration_at=clock() + 10)
    token = await token_of(gateway, peer, share)
    clock.now += 9
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    clock.now += 1
    assert (await visit(gateway, peer, share.provider_id, token)).status in (401, 404)


@pytest.mark.conforms("OCM-GW-10")
async def test_denying_a_server_ends_its_access(opened, peer):
    port = free_port()
    public = {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    gateway = await opened(public=public)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    listen = f"127.0.0.1:{free_port()}"
    await opened(
        public=public | {"listen": listen}, policy={"default": "allow", "deny": [peer.authority]}
    )
    sent = peer.signed(
        "POST", gateway.ours.token_end_point, form(peer, share).encode(), content_type=FORM
    )
    url = f"http://{listen}/remote/dav/ocm/{share.provider_id}"
    bearer = {"Authorization": f"Bearer {token}", "Depth": "0"}
    assert (await peer.send(request("PROPFIND", url, b"", bearer))).status == 403
    moved = type(sent)("POST", f"http://{listen}/ocm/token", sent.headers, sent.body)
    refused(await peer.send(moved), "unauthorized_client")


@pytest.mark.conforms("OCM-8-17")
async def test_a_bare_secret_opens_nothing_where_the_exchange_is_required(gateway, peer, share):
    challenged(await visit(gateway, peer, share.provider_id, share.shared_secret))
    basic = base64.b64encode(f"{share.shared_secret}:".encode()).decode()
    reply = await visit(gateway, peer, share.provider_id, f"Basic {basic}")
    assert reply.status == 401


@pytest.mark.conforms("OCM-8-16")
async def test_a_bare_secret_opens_a_share_without_the_exchange(gateway, peer):
    peer.document["capabilities"].remove("exchange-token")
    share = await create_share(gateway, peer)
    assert share.must_exchange_token is False
    assert (await visit(gateway, peer, share.provider_id, share.shared_secret)).status == 207
    challenged(await visit(gateway, peer, share.provider_id, "another"))


@pytest.mark.conforms("OCM-8-19")
async def test_legacy_access_opens_shares_without_the_exchange_and_no_others(opened, peer):
    gateway = await opened(sharing={"legacy_access": True})
    strict = await create_share(gateway, peer)
    loose = await create_share(gateway, peer, must_exchange_token=False)

    async def basic(share, path):
        secret = base64.b64encode(f"{share.shared_secret}:".encode()).decode()
        return (await visit(gateway, peer, path, f"Basic {secret}")).status

    assert await basic(loose, "") == await basic(loose, loose.provider_id) == 207
    assert await basic(strict, "") == await basic(strict, strict.provider_id) == 401
    assert await basic(loose, strict.provider_id) == 404
    token = await token_of(gateway, peer, strict)
    as_user = base64.b64encode(f"{token}:".encode()).decode()
    assert (await visit(gateway, peer, "", f"Basic {as_user}")).status == 401


async def test_a_propfind_without_depth_lists_the_root_where_there_is_no_id(opened, peer):
    gateway = await opened(sharing={"legacy_access": True})
    share = await create_share(gateway, peer, must_exchange_token=False)
    secret = base64.b64encode(f"{share.shared_secret}:".encode()).decode()

    async def listed(path):
        url = f"{gateway.ours.origin}/remote/dav/ocm/{path}"
        credential = {"Authorization": f"Basic {secret}"}
        return await peer.send(request("PROPFIND", url, b"", credential))

    assert b"day.txt" in (await listed("")).body
    assert (await listed(share.provider_id)).status == 403


async def test_without_legacy_access_basic_opens_nothing(gateway, peer):
    share = await create_share(gateway, peer, must_exchange_token=False)
    secret = base64.b64encode(f"{share.shared_secret}:".encode()).decode()
    for path in ("", share.provider_id):
        assert (await visit(gateway, peer, path, f"Basic {secret}")).status == 401


@pytest.mark.conforms("OCM-8-16")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(gateway, peer, share, scheme):
    token = await token_of(gateway, peer, share)
    reply = await visit(gateway, peer, share.provider_id, f"{scheme} {token}")
    assert reply.status == 207


@pytest.mark.conforms("OCM-RFC6750-03")
async def test_a_token_in_the_query_opens_nothing(gateway, peer, share):
    token = await token_of(gateway, peer, share)
    url = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}?access_token={token}"
    assert (await peer.send(request("GET", url, b"", {}))).status == 401


@pytest.mark.conforms("OCM-8-20")
@pytest.mark.parametrize("spelled", ["{}", "/{}", "{}/"])
async def test_slashes_around_an_id_do_no_harm(gateway, peer, share, spelled):
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, spelled.format(share.provider_id), token)).status == 207


@pytest.mark.conforms("OCM-6.1-45", "OCM-RFC6750-02")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "PROPPATCH", "LOCK", "MOVE", "COPY"])
async def test_a_read_share_is_not_written(gateway, peer, share, storage, method):
    token = await token_of(gateway, peer, share)
    url = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"
    extra = {"Destination": f"{url}/new.txt"} if method in ("MOVE", "COPY") else {}
    name = "/new" if method == "MKCOL" else "/day.txt"
    body = b"rainy" if method == "PUT" else b""
    reply = await visit(
        gateway, peer, share.provider_id, token, name, method=method, body=body, **extra
    )
    assert reply.status == 403
    trip = storage.root / "alice" / "trip"
    assert [one.name for one in trip.iterdir()] == ["day.txt"]
    assert (trip / "day.txt").read_bytes() == b"sunny"


@pytest.mark.conforms("OCM-RFC4918-11")
async def test_a_write_share_is_written(gateway, peer, storage):
    (storage.root / "alice" / "shelf").mkdir(exist_ok=True)
    (storage.root / "alice" / "shelf" / "b.txt").unlink(missing_ok=True)
    share = await create_share(gateway, peer, "/shelf", permissions=WRITE)
    token = await token_of(gateway, peer, share)
    put = await visit(gateway, peer, share.provider_id, token, "/b.txt", "PUT", b"a book")
    assert put.status == 201
    assert (storage.root / "alice/shelf/b.txt").read_bytes() == b"a book"
    assert (await visit(gateway, peer, share.provider_id, token, "", "DELETE")).status == 403
    assert (storage.root / "alice/shelf").is_dir()


@pytest.mark.conforms("OCM-RFC4918-12")
@pytest.mark.parametrize("path", ["/../letter.txt", "/%2e%2e/letter.txt", "/..%2fletter.txt"])
async def test_a_path_does_not_leave_the_share(gateway, peer, share, path):
    token = await token_of(gateway, peer, share)
    url = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}{path}"
    headers = {"Authorization": f"Bearer {token}"}
    reply = await peer.send(request("GET", URL(url, encoded=True), b"", headers))
    assert reply.status in (400, 403, 404)
    assert b"Dear Bob" not in reply.body


@pytest.mark.conforms("OCM-RFC4918-11")
async def test_a_shared_file_shows_no_siblings(gateway, peer):
    share = await create_share(gateway, peer, "/letter.txt")
    token = await token_of(gateway, peer, share)
    listing = await visit(gateway, peer, share.provider_id, token, Depth="1")
    assert listing.status == 207
    assert b"trip" not in listing.body
    assert (await visit(gateway, peer, share.provider_id, token, method="GET")).body == b"Dear Bob"
    for path in ("/trip/day.txt", "/letter.txt/x"):
        assert (await visit(gateway, peer, share.provider_id, token, path, "GET")).status == 404


async def test_wrong_tokens_are_slowed_down(opened, peer):
    gateway = await opened(limits={"failed_logins_per_minute": 3}, testing={"rate_limits": True})
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    for _ in range(3):
        assert (await visit(gateway, peer, share.provider_id, "guess")).status == 401
    assert (await visit(gateway, peer, share.provider_id, "guess")).status == 429
    assert (await visit(gateway, peer, share.provider_id, token)).status == 429
