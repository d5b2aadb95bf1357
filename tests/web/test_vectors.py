"""Every message of the vectors, sent to a gateway that listens under the name it was made for.

The servers of the vectors exist nowhere, so what they publish is put in the place of the way out,
and the clock stands at each message's own second. The rest is as always.
"""

import base64
import json
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
import pytest
from multidict import CIMultiDict

from gateway.errors import ProviderFailed
from gateway.model import Authority, Permission, ResourceType, SentInvite, SentShare, SentState
from tests.servers import free_port
from tests.sharing.stage import running

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())
PROVIDER_ID = "7c084226-d9a1-11e6-bf26-cec0c932ce01"
STATUS = {
    **dict.fromkeys(("P1", "P2", "P6", "P8"), 201),
    **dict.fromkeys(("P3", "P4", "P5", "P7"), 200),
    # A share is no notification: it is refused before anything of it is believed.
    "N13": 400,
}


def named(vectors):
    return [pytest.param(vector, id=vector["id"]) for vector in vectors]


def publishing(jwks):
    """The way out to servers that publish these keys and nothing else."""

    @asynccontextmanager
    async def request(provider, method, url, **_):
        if method != "GET" or urlsplit(url).path != "/.well-known/jwks.json":
            raise ProviderFailed("there is nothing here")

        async def read(_limit):
            return json.dumps(jwks[provider]).encode()

        yield SimpleNamespace(status=200, read=read, headers={})

    return request


@asynccontextmanager
async def addressed(tmp_path, storage, vector):
    """A gateway under the name that a message was sent to, with all that the message refers to."""
    url, port = urlsplit(vector["url"]), free_port()
    changes = {
        "public": {"origin": f"{url.scheme}://{url.netloc}", "listen": f"127.0.0.1:{port}"},
        "users": {"source": "list", "list": [{"name": "marie"}, {"name": "einstein"}]},
    }
    if url.scheme == "http":
        changes["testing"] = {"hosts": [url.netloc]}
    async with running(
        tmp_path / "gateway", storage.url, clock=lambda: vector["now"], **changes
    ) as gateway:
        gateway.others.guarded.request = publishing(VECTORS["jwks"])
        share = SentShare(
            provider_id=PROVIDER_ID,
            resource=("spec.yaml",),
            resource_type=ResourceType.FILE,
            owner="einstein",
            share_with="marie@receiver.example.org",
            receiving_server=Authority("receiver.example.org"),
            permissions=frozenset({Permission.READ}),
            must_exchange_token=True,
            shared_secret="my_secret_code",
            created_at=vector["now"],
            state=SentState.SENT,
        )
        invite = SentInvite(
            id="invite", sender="einstein", token="a55a966e-15c1-4cb9-a39d-4e4c54399baf",
            created_at=vector["now"],
        )  # fmt: skip

        def prepare(connection):
            gateway.state.sent.add(connection, share)
            gateway.state.invites.add(connection, invite)

        await gateway.state.database.write(prepare)
        yield gateway, f"http://127.0.0.1:{port}{url.path}"


async def status_of(vector, url):
    """The status that a message gets, sent byte for byte."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            vector["method"],
            url,
            headers=CIMultiDict(map(tuple, vector["headers"])),
            data=base64.b64decode(vector["body_b64"]),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        ) as reply,
    ):
        return reply.status, await reply.read()


@pytest.mark.parametrize("vector", named(VECTORS["ocm_positive"]))
async def test_every_good_message_is_taken(tmp_path, storage, vector):
    async with addressed(tmp_path, storage, vector) as (gateway, url):
        status, body = await status_of(vector, url)
        assert status == STATUS[vector["id"]], body
        shares = await gateway.receiving.inbox("marie")
        assert len(shares) == (1 if url.endswith("/shares") else 0)
        # The same message again is a replay, at the token endpoint in OAuth's words.
        again, _ = await status_of(vector, url)
        assert (
            again
            == {"shares": 401, "notifications": 401, "token": 400, "invite-accepted": 403}[
                url.rpartition("/")[2]
            ]
        )


@pytest.mark.parametrize("vector", named(VECTORS["ocm_negative"]))
async def test_every_bad_message_is_refused_and_leaves_no_trace(tmp_path, storage, vector):
    async with addressed(tmp_path, storage, vector) as (gateway, url):
        status, body = await status_of(vector, url)
        assert status == STATUS.get(vector["id"], 401), body
        assert await gateway.receiving.inbox() == []
        share = await gateway.sending.by_id(PROVIDER_ID)
        assert share.state is SentState.SENT


def test_no_message_is_left_out():
    assert {one["id"] for one in VECTORS["ocm_positive"]} <= set(STATUS)
