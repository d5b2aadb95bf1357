"""A trace that a caller takes part in is in the log and goes on; anything else is ignored."""

import pytest
from aiohttp import web

from gateway.web.middleware import trace_of
from tests.sharing.stage import ALICE, browse, create_share, receive_share, request, token_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
USERS = {"source": "list", "list": [{"name": "alice", "password": "alice-password"}]}


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("",),
        (TRACE, TRACE),
        (TRACE.upper(),),
        (TRACE + "-more",),
        (TRACE.replace("00-", "ff-", 1),),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01",),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\nx: y",),
    ],
)
def test_what_is_no_trace_is_ignored(lines):
    assert trace_of(lines) == ""


async def storage():
    """A storage with one folder that remembers which traces it was asked with."""
    seen = []

    async def answer(asked):
        seen.append(asked.headers.getall("traceparent", []))
        text = (
            f'<D:multistatus xmlns:D="DAV:"><D:response><D:href>{asked.path}</D:href>'
            "<D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>"
            "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
        )
        return web.Response(status=207, content_type="application/xml", text=text)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, seen


async def test_a_trace_goes_on_to_the_storage_and_stands_in_the_log(opened, peer, capsys):
    runner, seen = await storage()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/dav"
    gateway = await opened(storage_url=url, users=USERS)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    door = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"
    headers = {"Authorization": f"Bearer {token}", "Depth": "0"}
    seen.clear()
    capsys.readouterr()
    for trace, expected in ((TRACE, [TRACE]), ("00-nonsense", []), (None, [])):
        sent = headers | ({"traceparent": trace} if trace else {})
        reply = await peer.send(request("PROPFIND", door, b"", sent))
        assert reply.status == 207
        assert seen.pop() == expected
    lines = [line for line in capsys.readouterr().err.splitlines() if "dav.shares" in line]
    assert [f"trace={TRACE[3:35]}" in line for line in lines] == [True, False, False]
    await runner.cleanup()


async def test_a_trace_goes_on_to_the_other_server(gateway, peer):
    share = await receive_share(peer, gateway)
    peer.seen.clear()
    await browse(gateway, peer, share.folder)
    assert not any("traceparent" in one.headers for one in peer.seen)
    url = f"{gateway.ours.origin}/remote/dav/received/{share.folder}"
    sent = {"Authorization": ALICE, "Depth": "0", "traceparent": TRACE}
    peer.seen.clear()
    assert (await peer.send(request("PROPFIND", url, b"", sent))).status == 207
    [asked] = [one for one in peer.dav if one.method == "PROPFIND"]
    assert asked.headers["traceparent"] == TRACE
