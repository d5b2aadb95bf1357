"""forward() against XRootD, whose door sends every request on to a data server."""

import pytest

from gateway.dav.backend import stat
from gateway.dav.target import Profile
from gateway.errors import BackendFailed
from gateway.upstream.pool import Pool
from gateway.upstream.redirects import DataServers, Redirected
from tests import servers
from tests.dav.conftest import Client, make_target, whole
from tests.pair import eventually

PROFILE = Profile(atomic_put=False, conditional_put=False, raw_hrefs=True, locks=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with servers.xrootd(tmp_path_factory.mktemp("xrootd")) as cluster:
        yield cluster


@pytest.fixture
def files(cluster):
    return cluster.disk.root / "alice"


@pytest.fixture
async def client(cluster):
    disk = f"127.0.0.1:{cluster.disk.port}"
    pool = Redirected(DataServers(cluster.door.url, (disk,)), idle_seconds=30)
    yield Client(make_target(cluster.door.url, root=("alice",), profile=PROFILE), pool.request)
    await pool.close()


async def test_files_are_read_where_they_are(client, files):
    (files / "read.txt").write_bytes(b"0123456789")

    async def found_by_the_door():
        return (await client.ask("HEAD", "/read.txt"))[0] == 200

    await eventually(found_by_the_door, seconds=30)
    status, _, body = await client.ask("GET", "/read.txt")
    assert (status, body) == (200, b"0123456789")
    status, headers, body = await client.ask("GET", "/read.txt", Range="bytes=2-4")
    assert (status, body, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    found = await stat(client.send, client.at("/read.txt")[0])
    assert (found.exists, found.collection, found.size) == (True, False, 10)


async def test_an_upload_arrives_whole(client, files):
    body = b"x" * 3_000_000
    for again in (body, body[:-1]):
        status, _, _ = await client.ask("PUT", "/new.bin", again)
        assert status in (200, 201, 204)
        assert (files / "new.bin").read_bytes() == again
    assert not list(files.glob(".ocm-*"))


async def test_a_tree_is_made_listed_moved_and_deleted(client, files):
    assert (await client.ask("MKCOL", "/tree"))[0] == 201
    assert (await client.ask("PUT", "/tree/a", b"1"))[0] in (200, 201)
    async with client.open("PROPFIND", "/tree/", Depth="1") as answer:
        listed = await whole(answer)
    assert b"/remote/dav/ocm/share-1/tree/a" in listed
    assert b"127.0.0.1" not in listed
    moved = "https://gw.example/remote/dav/ocm/share-1/tree/b"
    assert (await client.ask("MOVE", "/tree/a", Destination=moved))[0] in (201, 204)
    assert (files / "tree/b").read_bytes() == b"1"

    async def deleted():
        return (await client.ask("DELETE", "/tree/b"))[0] in (200, 204)

    await eventually(deleted, seconds=30)  # a busy door says 404 until it has found what moved
    assert list((files / "tree").iterdir()) == []


async def test_without_leave_nothing_is_followed(cluster, client, files):
    (files / "read.txt").write_bytes(b"0123456789")
    pool = Pool(idle_seconds=30)
    try:
        with pytest.raises(BackendFailed) as caught:
            await Client(client.target, pool.request).ask("PROPFIND", "/", Depth="0")
    finally:
        await pool.close()
    assert f"127.0.0.1:{cluster.disk.port}" in caught.value.detail
