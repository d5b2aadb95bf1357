from tests.sharing.stage import *
from tests.sharing.stage import receive_share, send_share, create_share, token_of, visit, browse
async def test_x(gateway, peer):
    from tests.peer import verify
    await send_share(peer, gateway)
    s = await create_share(gateway, peer)
    t = await token_of(gateway, peer, s)
    r = await visit(gateway, peer, s.provider_id, t)
    print(r)
    print(verify(peer.requests("POST /ocm/shares")[0], peer.origin, gateway.ring.jwks()["keys"][0]))
    r = await receive_share(peer, gateway)
    from tests.sharing.stage import browse
    print(await browse(gateway, peer, r.folder))
    print(await browse(gateway, peer, r.folder+"/a.txt", "GET"))
    assert 0
