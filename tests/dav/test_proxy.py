async def test_a_listing_has_public_addresses_only(client):
    status, headers, body = await client.ask("PROPFIND", Depth="1")
    print(body.decode())
    assert status == 207
    assert b"/remote/dav/ocm/share-1/a%20b.txt" in body
    assert b"/dav/shared" not in body
