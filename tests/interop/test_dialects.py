"""The gateway, in front of a real Apache, and every kind of OCM Server: each cell of the matrix."""

import pytest

from gateway.model import ReceivedState, SentState
from gateway.ocm.address import authority
from gateway.ocm.invites import parse_invite
from gateway.simulate import acting
from gateway.simulate.quirks import Signs
from gateway.simulate.server import keys_of, open_simulation
from tests import servers
from tests.interop.matrix import REMARKS, proves
from tests.interop.meeting import Meeting, meeting


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with servers.apache(tmp_path_factory.mktemp("storage")) as storage:
        yield storage


@pytest.fixture
async def met(tmp_path, storage, peer) -> Meeting:
    alice = storage.root / "alice"
    (alice / "trip").mkdir(exist_ok=True)
    (alice / "trip").chmod(0o777)
    (alice / "trip" / "day.txt").write_bytes(b"sunny\n")
    (alice / "letter.txt").write_bytes(b"Dear Albert\n")
    (alice / "letter.txt").chmod(0o666)
    (alice / "trip" / "new.txt").unlink(missing_ok=True)
    async with meeting(tmp_path, storage, peer) as met:
        yield met


NEVER_TOLD = frozenset(REMARKS["unshare"])
"""The servers that are told nothing when a share is withdrawn."""


def folder_or_file(met: Meeting) -> tuple[str, str]:
    """A folder and a file in it, or a file where that server takes no folders."""
    return (
        ("/letter.txt", "") if met.world.peer.name == "opencloudmesh-go" else ("/trip", "day.txt")
    )


@proves("discover")
async def test_each_reads_the_other_s_document(met, peer):
    provider = authority(met.world.authority)
    document = await met.gateway.others.discoveries.discover(provider)
    assert document.end_point == met.world.origin + met.world.peer.end_point
    theirs = await met.world.discover(met.gateway.ours.authority)
    assert theirs.end_point == met.gateway.ours.end_point


@proves("send share")
async def test_a_share_arrives_once(met, peer):
    share = await met.share()
    assert share.state is SentState.SENT, share.reason
    [received] = met.world.received.values()
    assert received.server == met.gateway.ours.authority
    posts = [seen for seen in met.world.seen if seen.path.endswith("/shares")]
    assert len(posts) == 1


@proves("they read")
async def test_they_read_what_we_share(met, peer):
    path, inside = folder_or_file(met)
    _, received = await met.accepted(path)
    read = await acting.open_share(met.world, received.id, path=inside)
    assert (read.status, read.body) == (200, (met.folder / path[1:] / inside).read_bytes())
    if inside:
        listed = await acting.open_share(met.world, received.id, "PROPFIND")
        assert listed.status == 207
        assert b"day.txt" in listed.body


@proves("they read")
async def test_they_read_a_single_file(met, peer):
    _, received = await met.accepted("/letter.txt")
    read = await acting.open_share(met.world, received.id)
    assert (read.status, read.body) == (200, b"Dear Albert\n")


@proves("they write")
async def test_they_write_into_what_we_share(met, peer):
    _, received = await met.accepted("/trip")
    wrote = await acting.open_share(met.world, received.id, "PUT", "new.txt", b"from Albert")
    assert wrote.status in (201, 204)
    assert (met.folder / "trip" / "new.txt").read_bytes() == b"from Albert"


@proves("receive share")
async def test_their_share_is_received_once(met, peer):
    sent, received = await met.received()
    assert sent.statuses == [201]
    assert received.name == "letter.txt"
    assert received.sending_server == met.world.authority
    assert received.provider_id == sent.provider_id


@proves("we read")
async def test_we_read_what_they_share(met, peer):
    path, inside = folder_or_file(met)
    _, share = await met.taken(path)
    name = f"{share.folder}/{inside}" if inside else share.folder
    assert await met.dav("GET", name) == (200, (met.world.folder / path[1:] / inside).read_bytes())
    if inside:
        status, listing = await met.dav("PROPFIND", f"{share.folder}/")
        assert status == 207
        assert b"day.txt" in listing


@proves("we read")
async def test_we_read_a_single_file(met, peer):
    _, share = await met.taken("/letter.txt")
    assert await met.dav("GET", share.folder) == (200, b"from afar\n")


@proves("we write")
async def test_we_write_into_what_they_share(met, peer):
    _, share = await met.taken("/trip")
    assert (await met.dav("PUT", f"{share.folder}/new.txt", b"from alice"))[0] in (201, 204)
    assert (met.world.folder / "trip" / "new.txt").read_bytes() == b"from alice"


@proves("accept and decline notices")
@pytest.mark.parametrize("accept", [True, False], ids=["accept", "decline"])
async def test_we_learn_what_they_decided(met, peer, accept):
    share = await met.share()
    [received] = met.world.received.values()
    assert await acting.decide(met.world, received.id, accept=accept) == 201
    assert await met.state_of(share) is (SentState.ACCEPTED if accept else SentState.DECLINED)


@proves("accept and decline notices")
@pytest.mark.parametrize("accept", [True, False], ids=["accept", "decline"])
async def test_they_learn_what_we_decided(met, peer, accept):
    sent, ours = await met.received()
    decide = met.gateway.receiving.accept if accept else met.gateway.receiving.decline
    await decide(ours.id, recipient="alice")
    if peer not in REMARKS["accept and decline notices"]:
        await met.becomes(lambda: sent.state, "accepted" if accept else "declined")


@proves("unshare")
async def test_a_share_that_we_withdraw_opens_nothing(met, peer):
    share, theirs = await met.accepted()
    assert (await acting.open_share(met.world, theirs.id)).status == 200
    await met.gateway.sending.revoke(share.provider_id, owner="alice")
    assert (await acting.open_share(met.world, theirs.id)).status in (401, 404)
    if peer not in NEVER_TOLD:
        await met.becomes(lambda: theirs.state in ("unshared", "deleted"), True)


@proves("unshare")
async def test_a_share_that_they_withdraw_is_shown_as_gone(met, peer):
    sent, ours = await met.taken()
    assert (await met.dav("GET", ours.folder))[0] == 200
    told = await acting.unshare(met.world, sent.provider_id)
    if told and peer != "ocis":
        assert told == 201
        assert await met.received_state(ours) is ReceivedState.UNSHARED
    else:  # nothing proves what it says, or it says nothing: the gateway looks for itself
        met.clock.ahead = 3700
        await met.becomes(lambda: met.received_state(ours), ReceivedState.UNAVAILABLE)
    assert (await met.dav("GET", ours.folder))[0] in (404, 502)


@proves("invites")
async def test_invites_make_contacts_both_ways(met, peer):
    met.world.contacts.clear()
    await met.befriend()
    assert met.world.contacts == {met.alice}
    theirs = parse_invite(acting.create_invite(met.world))
    contact = await met.gateway.inviting.accept_invite("bob", theirs)
    assert contact.provider == met.world.authority
    assert str(met.gateway.ours.address("bob")) in met.world.contacts
    share = await met.share(share_with=contact.address)
    assert share.state is SentState.SENT, share.reason


@proves("invites")
async def test_a_contact_may_share_where_nobody_else_may(tmp_path, storage, peer):
    changes = {"sharing": {"require_invite": True}}
    async with meeting(tmp_path, storage, peer, befriended=False, **changes) as met:
        sent = await acting.share(met.world, met.alice, "/letter.txt")
        assert sent.state == "refused"
        await met.befriend()
        await met.received()


@proves("signatures")
async def test_each_verifies_the_other_s_signature(met, peer):
    await met.share()
    assert met.world.pinned == {met.gateway.ours.authority}
    [posted] = [seen for seen in met.world.seen if seen.path.endswith("/shares")]
    by_rfc = "signature-input" in posted.headers
    assert by_rfc == (met.world.peer.signs is Signs.RFC9421)
    sent, _ = await met.received()
    assert sent.statuses == [201]


@proves("signatures")
async def test_a_share_signed_by_somebody_else_is_refused(met, peer):
    async with open_simulation(peer) as forger:
        forger.authority = met.world.authority
        forger.keys = keys_of(forger.peer, met.world.authority)
        sent = await acting.share(forger, met.alice, "/letter.txt")
    assert sent.state == "refused"
    assert await met.gateway.receiving.inbox("alice") == []
