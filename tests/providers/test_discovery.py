"""How other servers are discovered: where, in which order, how often, and what is not believed."""

import asyncio
import gc

import pytest

from gateway.errors import ProviderFailed, ProviderRefused, Refused
from gateway.ocm.address import authority
from tests.peer import Answer
from tests.sharing.stage import Clock

WELL_KNOWN = "GET /.well-known/ocm"
OLD = "GET /ocm-provider"


async def discover(gateway, peer, **options):
    return await gateway.others.discoveries.discover(authority(peer.authority), **options)


@pytest.mark.conforms("OCM-5.2-02")
async def test_the_well_known_place_is_asked_first_and_plainly(gateway, peer):
    found = await discover(gateway, peer)
    assert found.end_point == f"{peer.origin}/ocm"
    [seen] = peer.seen
    assert (seen.method, seen.path, seen.body) == ("GET", "/.well-known/ocm", b"")
    assert not {"Authorization", "Cookie", "Signature"} & set(seen.headers)


@pytest.mark.conforms("OCM-5.2-03", "OCM-5.2-04", "OCM-RFC8615-06")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(500),
        Answer(200, b"<html>hello</html>", {"Content-Type": "text/html"}),
        Answer(200, b'{"enabled": true, "endP'),
        Answer(200, []),
        Answer(200, {}),
        Answer(200, {"enabled": True, "endPoint": "nowhere", "resourceTypes": []}),
        Answer(200, b"\xff"),
        Answer(200, b" " * 300_000),
        Answer(302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
        Answer(302, headers={"Location": "//other.example/elsewhere"}),
        Answer(302, headers={"Location": "http://[/"}),
        Answer(302, headers={"Location": "mailto:somebody"}),
        Answer(302),
        Answer(hang_up=True),
    ],
    ids=lambda answer: (
        f"{answer.status} {answer.body[:20]!r}"
        if isinstance(answer.body, bytes)
        else str(answer.body)
    ),
)
async def test_what_is_no_document_leads_to_the_old_place(gateway, peer, answer):
    peer.on(WELL_KNOWN, answer)
    peer.on(OLD, Answer(body=peer.document))
    assert (await discover(gateway, peer)).end_point == f"{peer.origin}/ocm"
    assert len(peer.requests(OLD)) == 1


async def test_a_redirect_on_the_server_is_followed_once(gateway, peer):
    peer.on(WELL_KNOWN, Answer(301, headers={"Location": "/there"}))
    peer.on("GET /there", Answer(body=peer.document), Answer(301, headers={"Location": "/there"}))
    assert (await discover(gateway, peer)).end_point == f"{peer.origin}/ocm"
    with pytest.raises(ProviderFailed):
        await discover(gateway, peer, afresh=True)


async def test_the_old_place_is_found_with_a_slash_behind_it(gateway, peer):
    peer.on(WELL_KNOWN, Answer(404))
    peer.on("GET /ocm-provider/", Answer(body=peer.document))
    assert (await discover(gateway, peer)).end_point == f"{peer.origin}/ocm"


@pytest.mark.conforms("OCM-5.2-03", "OCM-GW-04")
async def test_a_place_that_takes_too_long_leads_to_the_old_one(opened, peer):
    gateway = await opened(limits={"provider_seconds": 1})
    peer.on(WELL_KNOWN, Answer(body=peer.document, seconds=1.3))
    peer.on(OLD, Answer(body=peer.document))
    await discover(gateway, peer)
    assert len(peer.requests(OLD)) == 1


async def test_a_server_that_takes_too_long_everywhere_is_asked_twice(opened, peer):
    gateway = await opened(limits={"provider_seconds": 1})
    for what in (WELL_KNOWN, OLD, f"{OLD}/"):
        peer.on(what, Answer(body=peer.document, seconds=1.2))
    with pytest.raises(ProviderFailed):
        await discover(gateway, peer)
    assert len(peer.seen) == 2


async def test_a_server_at_neither_place_is_none(gateway, peer):
    peer.on(WELL_KNOWN, Answer(404))
    with pytest.raises(ProviderFailed) as caught:
        await discover(gateway, peer)
    assert "404" in caught.value.detail


async def test_a_server_that_is_switched_off_is_believed(gateway, peer):
    peer.document["enabled"] = False
    with pytest.raises(ProviderRefused):
        await discover(gateway, peer)
    assert peer.requests(OLD) == []


async def test_a_document_is_kept_for_a_while(opened, peer):
    clock = Clock()
    began = clock.now
    gateway = await opened(clock, discovery={"cache_seconds": 60})
    for second, asked in ((0, 1), (59, 1), (60, 2)):
        clock.now = began + second
        await discover(gateway, peer)
        assert len(peer.seen) == asked
    await discover(gateway, peer, afresh=True)
    assert len(peer.seen) == 3


async def test_many_who_ask_at_once_make_one_request(gateway, peer):
    peer.on(WELL_KNOWN, Answer(body=peer.document, seconds=0.1))
    await asyncio.gather(*(discover(gateway, peer, afresh=True) for _ in range(20)))
    assert len(peer.seen) == 1


async def test_a_failure_is_remembered_for_a_moment(gateway, peer):
    peer.on(WELL_KNOWN, Answer(404))
    for _ in range(3):
        with pytest.raises(ProviderFailed):
            await discover(gateway, peer)
    assert len(peer.requests(WELL_KNOWN)) == 1


async def test_no_failure_is_remembered_where_none_shall_be(opened, peer):
    gateway = await opened(discovery={"failure_seconds": 0})
    peer.on(WELL_KNOWN, Answer(404), Answer(404))
    for _ in range(2):
        with pytest.raises(ProviderFailed):
            await discover(gateway, peer)
    assert len(peer.requests(WELL_KNOWN)) == 2


@pytest.mark.conforms("OCM-5.1-04")
async def test_a_denied_server_is_not_asked(opened, peer):
    gateway = await opened(policy={"default": "allow", "deny": [peer.authority]})
    with pytest.raises(Refused):
        await discover(gateway, peer)
    assert peer.seen == []


async def test_a_caller_that_gives_up_does_not_spoil_it_for_the_others(gateway, peer):
    peer.on(WELL_KNOWN, Answer(body=peer.document, seconds=0.1))
    first = asyncio.create_task(discover(gateway, peer))
    second = asyncio.create_task(discover(gateway, peer))
    await asyncio.sleep(0.02)
    first.cancel()
    assert (await second).end_point == f"{peer.origin}/ocm"


async def test_a_failure_that_nobody_waits_for_any_more_is_no_fault(gateway, peer):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: faults.append(said))
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def late(_):
        asked.set()
        await go_on.wait()
        return Answer(404)

    peer.on(WELL_KNOWN, late)
    alone = asyncio.create_task(discover(gateway, peer))
    await asked.wait()
    alone.cancel()
    await asyncio.wait([alone])
    go_on.set()
    while gateway.others.discoveries._running:
        await asyncio.sleep(0.01)
    del alone  # its traceback would keep the asking
    gc.collect()
    assert faults == []
