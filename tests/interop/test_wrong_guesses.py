"""A wrong guess costs nothing: no share twice, and no secret to anybody but the server named."""

from dataclasses import replace

import pytest

from gateway.model import SentState
from gateway.simulate import acting
from gateway.simulate.server import open_simulation
from gateway.simulate.state import Simulation
from tests import servers
from tests.interop.matrix import PEERS
from tests.interop.meeting import LENIENT, Meeting, meeting
from tests.pair import eventually
from tests.peer import Answer, open_peer
from tests.sharing.stage import create_share, receive_share


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with servers.wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        (storage.root / "alice" / "letter.txt").write_bytes(b"Dear Albert\n")
        yield storage


@pytest.fixture
async def decoy():
    """Somebody else's server, which has no business here."""
    async with open_peer() as peer:
        yield peer


# One for each order of forms: options first, relative, absolute, the oldest.
@pytest.mark.parametrize("wrong", ["ocm-1.0", "vague", "reva", "nextcloud-30", "seafile"])
async def test_a_server_taken_for_another_gets_a_share_once_or_not_at_all(tmp_path, storage, wrong):
    known = {"server": "127.0.0.1", "dialect": wrong, "unsigned_exchange": True}
    changes = LENIENT | {"dialects": {"servers": [known]}}
    taken = set()
    async with meeting(tmp_path, storage, "draft-03", **changes) as met:
        for name in PEERS:
            async with open_simulation(name) as world:
                other = replace(met, world=world)
                if any(rule == "no contact" for rule, _ in world.peer.refuses):
                    await other.befriend()
                share = await other.share()
                assert share.state in (SentState.SENT, SentState.REFUSED)
                assert len(world.received) == (share.state is SentState.SENT)
                posts = [seen for seen in world.seen if "/shares" in seen.path]
                assert len(posts) <= 2
                taken.update([name] if world.received else [])
    assert taken  # a wrong name is no name for all of them


@pytest.mark.parametrize("peer", ["nextcloud-30", "ocis", "draft-05"])
async def test_an_answer_that_went_wrong_makes_no_second_share(tmp_path, storage, peer):
    async with meeting(tmp_path, storage, peer) as met:
        honest = met.world.peer
        met.world.peer = replace(honest, answers=(503, {}))  # it has kept the share
        share = await met.share()
        assert share.state is SentState.PENDING
        met.world.peer = honest
        await eventually(lambda: _is_sent(met, share))
        assert len(met.world.received) == 1
        bodies = {seen.body for seen in met.world.seen if seen.path.endswith("/shares")}
        assert len(bodies) == 1


async def _is_sent(met, share) -> bool:
    return await met.state_of(share) is SentState.SENT


def pointing(world: Simulation, **members: object) -> None:
    """Let its document say that."""
    document = world.document("")
    world.document = lambda _: document | members


@pytest.mark.parametrize("peer", ["nextcloud-30", "ocis", "draft-05"])
async def test_an_api_elsewhere_is_told_nothing(tmp_path, storage, decoy, peer):
    async with meeting(tmp_path, storage, peer) as met:
        pointing(met.world, endPoint=f"{decoy.origin}/ocm")
        share = await met.share()
        assert share.state is not SentState.SENT
    assert decoy.seen == []


@pytest.mark.parametrize("peer", ["nextcloud-35", "reva", "draft-05"])
async def test_a_token_endpoint_elsewhere_gets_no_code(tmp_path, storage, decoy, peer):
    async with meeting(tmp_path, storage, peer) as met:
        pointing(met.world, tokenEndPoint=f"{decoy.origin}/ocm/token")
        _, share = await met.taken()
        await met.dav("GET", share.folder)
    assert decoy.seen == []


@pytest.mark.parametrize("peer", PEERS)
async def test_a_webdav_root_elsewhere_gets_no_credential(tmp_path, storage, decoy, peer):
    async with meeting(tmp_path, storage, peer) as met:
        world = met.world
        protocols = {"webdav": f"{decoy.origin}/dav/"}
        kind = [{"name": "file", "shareTypes": ["user"], "protocols": protocols}]
        pointing(world, **{world.peer.list_name: kind})
        _, share = await met.taken()
        status, body = await met.dav("GET", share.folder)
        # Some Shares name their own address; the others cannot be opened.
        assert (status, body) == (200, b"from afar\n") or status in (404, 502)
    assert decoy.seen == []


@pytest.mark.parametrize("peer", ["ocis", "opencloud", "reva"])
async def test_a_share_whose_address_is_elsewhere_is_never_opened(tmp_path, storage, decoy, peer):
    async with meeting(tmp_path, storage, peer) as met:
        met.world.peer = replace(met.world.peer, webdav="/dav/")
        real, met.world.authority = met.world.authority, decoy.authority
        sent = await _share_in_the_name_of(met, real)
        assert sent == "refused"
        assert await met.gateway.receiving.inbox("alice") == []
    assert decoy.seen == []


async def _share_in_the_name_of(met: Meeting, authority: str) -> str:
    """einstein's share, its uri at the decoy, its sender at his own server."""
    share = acting.bodies.share

    def spoiled(peer, user, origin, terms):
        body = share(peer, user, origin, terms)
        owner = body["owner"].replace(met.world.authority, authority)
        return body | {"owner": owner, "sender": owner}

    acting.bodies.share = spoiled
    try:
        return (await acting.share(met.world, met.alice, "/letter.txt")).state
    finally:
        acting.bodies.share = share


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_secret_follows_a_redirect(tmp_path, storage, decoy, status):
    async with meeting(tmp_path, storage, "draft-03") as met, open_peer() as peer:
        away = Answer(status, headers={"Location": f"{decoy.origin}/elsewhere"})
        share = await create_share(met.gateway, peer, "/letter.txt")
        assert share.state is SentState.SENT
        peer.on("POST /ocm/shares", away)
        share = await create_share(met.gateway, peer, "/letter.txt")
        assert share.state is not SentState.SENT
        received = await receive_share(peer, met.gateway)
        peer.on("DAV", away)
        assert (await met.dav("GET", f"{received.folder}/a.txt"))[0] in (404, 502)
        peer.on("POST /ocm/token", away)
        received = await receive_share(peer, met.gateway)
        assert (await met.dav("GET", f"{received.folder}/a.txt"))[0] == 502
    assert decoy.seen == []
