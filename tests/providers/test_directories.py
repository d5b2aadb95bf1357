"""Directory Services as a gateway reads them: real documents from a real server, over a restart."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from jwcrypto.jwk import JWK

from gateway.errors import GatewayError, Malformed, NotFound
from gateway.ocm.directory import (
    Directory,
    DirectoryServer,
    Form,
    parse_directory,
    parse_entries,
    parse_unsigned,
    sign_directory,
)
from tests.pair import eventually
from tests.peer import Answer
from tests.sharing.stage import (
    Clock,
    address,
    gateway,
    opened,
    other,
    peer,
    running,
    shares_of,
    storage,
)

__all__ = ["gateway", "opened", "other", "peer", "storage"]

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["directory"]
CASES = {case["id"]: case for case in VECTORS["cases"]}
KEY = JWK.generate(kty="OKP", crv="Ed25519")
PRIVATE = KEY.export_to_pem(private_key=True, password=None).decode()
RSA = JWK.generate(kty="RSA", size=2048).export(as_dict=True)


def document(*authorities, federation="F", scheme="http", key=PRIVATE, form=Form.FLATTENED):
    servers = [{"url": f"{scheme}://{one}", "displayName": f"at {one}"} for one in authorities]
    return sign_directory(parse_entries(federation, servers), key, form).encode()


@pytest.fixture
def pinned(tmp_path):
    file = tmp_path / "directory.pem"
    file.write_bytes(KEY.export_to_pem())
    return str(file)


def service(peer, pinned, name="one", **changes):
    return {"name": name, "url": f"{peer.origin}/{name}", "key_files": [pinned]} | changes


def section(*services, **changes):
    return {"directories": {"services": list(services)} | changes}


async def names(gateway):
    return [server.authority for server in gateway.directories.servers()]


@pytest.mark.conforms("OCM-18-01")
async def test_a_directory_is_fetched_by_an_anonymous_get(opened, peer, pinned):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1", "127.0.0.1:2")))
    gateway = await opened(**section(service(peer, pinned)))
    await eventually(gateway.directories.servers)
    assert await names(gateway) == ["127.0.0.1:1", "127.0.0.1:2"]
    assert gateway.directories.authorities("one") == {"127.0.0.1:1", "127.0.0.1:2"}
    [seen] = peer.requests("GET /one")
    assert not {"authorization", "cookie", "signature"} & {name.lower() for name in seen.headers}
    [state] = await gateway.directories.states()
    assert (state.federation, state.signed, state.error) == ("F", True, "")


@pytest.mark.parametrize("form", list(Form))
async def test_every_serialisation_is_read(opened, peer, pinned, form):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1", form=form)))
    gateway = await opened(**section(service(peer, pinned)))
    await gateway.directories.refresh()
    assert await names(gateway) == ["127.0.0.1:1"]


@pytest.mark.conforms("OCM-4.4.3-16", "OCM-2-14")
async def test_several_directories_are_one_list_without_duplicates(opened, peer, other, pinned):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1", "127.0.0.1:2")))
    other.on("GET /two", Answer(body=document("127.0.0.1:2", "127.0.0.1:3", federation="G")))
    peer.on("GET /three", Answer(500))
    services = (
        service(peer, pinned),
        service(other, pinned, "two"),
        service(peer, pinned, "three"),
    )
    gateway = await opened(**section(*services))
    await gateway.directories.refresh()
    assert await names(gateway) == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
    assert gateway.directories.authorities("two") == {"127.0.0.1:2", "127.0.0.1:3"}
    assert gateway.directories.authorities("three") == frozenset()


@pytest.mark.conforms("OCM-18-02")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(302, headers={"Location": "/two"}),
        Answer(hang_up=True),
        Answer(body=b"\xff"),
        Answer(body=b"x" * (4 << 20) + b"y"),
        Answer(body={"federation": "F", "servers": []}),
        Answer(body=document("127.0.0.1:9", key=RSA)),
        *(Answer(body=CASES[name]["document"].encode()) for name in CASES if name[0] == "X"),
    ],
)
async def test_a_refresh_that_fails_leaves_the_last_good_list(opened, peer, pinned, answer):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1")), answer)
    gateway = await opened(**section(service(peer, pinned)))
    await eventually(gateway.directories.servers)
    [state] = await gateway.directories.refresh("one")
    assert state.error
    assert [server.authority for server in state.servers] == ["127.0.0.1:1"]
    assert await names(gateway) == ["127.0.0.1:1"]
    assert {f"{one.method} {one.path}" for one in peer.seen} == {"GET /one"}


async def test_the_last_good_list_outlives_a_restart_without_its_server(
    opened, peer, pinned, tmp_path, storage
):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1")), Answer(500))
    configured = section(service(peer, pinned))
    async with running(tmp_path / "same", storage.url, **configured) as gateway:
        await eventually(gateway.directories.servers)
    again = await opened(folder="same", **configured)
    await eventually(again.directories.servers)
    assert await names(again) == ["127.0.0.1:1"]
    assert len(peer.requests("GET /one")) == 1


async def test_a_list_whose_key_is_pinned_no_more_counts_no_more(
    opened, peer, pinned, tmp_path, storage
):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1")))
    configured = section(service(peer, pinned))
    async with running(tmp_path / "same", storage.url, **configured) as gateway:
        await eventually(gateway.directories.servers)
    Path(pinned).write_bytes(JWK.generate(kty="OKP", crv="Ed25519").export_to_pem())
    again = await opened(folder="same", **configured)
    [state] = await again.directories.refresh()
    assert (state.servers, bool(state.error)) == ((), True)


async def test_a_list_is_fetched_again_when_its_time_has_come(opened, peer, pinned, monkeypatch):
    monkeypatch.setattr("gateway.providers.directories._LOOK_SECONDS", 0.05)
    clock = Clock()
    peer.on("GET /one", Answer(body=document("127.0.0.1:1")), Answer(body=document("127.0.0.1:2")))
    gateway = await opened(clock, **section(service(peer, pinned), refresh_minutes=5))
    await eventually(gateway.directories.servers)
    clock.now += 299
    before = len(peer.seen)
    clock.now += 1

    async def renewed():
        return await names(gateway) == ["127.0.0.1:2"]

    await eventually(renewed)
    assert len(peer.seen) == before + 1


async def test_two_processes_fetch_once_and_both_know(opened, peer, pinned, tmp_path, storage):
    peer.on("GET /one", Answer(body=document("127.0.0.1:1")))
    configured = section(service(peer, pinned))
    first = await opened(folder="same", listens=False, **configured)
    await first.directories.refresh()
    async with _beside(tmp_path / "same", storage, configured) as second:
        assert await eventually(second.directories.servers)
    assert len(peer.requests("GET /one")) == 1


@asynccontextmanager
async def _beside(folder, storage, configured):
    async with running(folder, storage.url, **configured) as gateway:
        yield gateway


async def test_plain_json_counts_only_where_the_operator_says_so(opened, peer, pinned):
    plain = {"federation": "S", "servers": [{"url": "http://127.0.0.1:5", "displayName": "five"}]}
    peer.on("GET /one", Answer(body=plain))
    peer.on("GET /two", Answer(body={"payload": plain, "protected": {}, "signature": "..."}))
    free = [service(peer, pinned, name, key_files=[], unsigned=True) for name in ("one", "two")]
    gateway = await opened(**section(*free))
    states = await gateway.directories.refresh()
    assert [state.federation for state in states] == ["S", "S"]
    assert [state.signed for state in states] == [False, False]
    assert await names(gateway) == ["127.0.0.1:5"]


@pytest.mark.parametrize(
    "changes", [{"unsigned": True}, {"key_files": []}, {"key_files": ["none.pem"]}]
)
async def test_keys_and_unsigned_exclude_each_other(opened, peer, pinned, changes):
    with pytest.raises(GatewayError):
        await opened(**section(service(peer, pinned, **changes)))


async def test_a_key_that_is_none_is_told_at_the_start(opened, peer, tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no key")
    with pytest.raises(Malformed):
        await opened(**section(service(peer, str(broken))))


@pytest.mark.conforms("OCM-18-07")
async def test_servers_on_plain_http_are_for_testing_only(opened, peer, pinned):
    listed = document("192.0.2.1:8080", "127.0.0.1:1")
    peer.on("GET /one", Answer(body=listed))
    gateway = await opened(**section(service(peer, pinned)))
    await gateway.directories.refresh()
    assert await names(gateway) == ["127.0.0.1:1"]


async def test_an_unknown_directory_cannot_be_refreshed(gateway):
    with pytest.raises(NotFound):
        await gateway.directories.refresh("none")


@pytest.mark.conforms("OCM-14.1-02")
async def test_a_directory_may_be_the_base_of_trust(opened, peer, other, pinned):
    peer.on("GET /one", Answer(body=document(peer.authority)))
    policy = {"default": "deny", "allow": ["dir:one"]}
    gateway = await opened(**section(service(peer, pinned)), policy=policy)
    await gateway.directories.refresh()

    async def let_in(server):
        reply = await server.post(shares_of(gateway), server.share(address(gateway)))
        return reply.status == 201

    assert await eventually(lambda: let_in(peer))
    assert not await let_in(other)


# Publishing


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("kind", [{"kty": "OKP", "crv": "Ed25519"}, {"kty": "EC", "crv": "P-256"}])
def test_what_is_published_can_be_read_with_the_public_key(form, kind):
    key = JWK.generate(**kind)
    private = key.export_to_pem(private_key=True, password=None).decode()
    made = document("a.example", scheme="https", key=private, form=form)
    read = parse_directory(made, [key.export_to_pem().decode()])
    assert read == Directory(
        "F", (DirectoryServer("https://a.example", "a.example", "at a.example"),)
    )
    assert b'"d"' not in made


def test_a_public_key_signs_nothing():
    with pytest.raises(Malformed):
        document("a.example", key=KEY.export_to_pem().decode())


def test_a_list_with_entries_that_readers_would_leave_out_is_not_published():
    servers = [
        {"url": "https://a.example", "displayName": "A"},
        {"url": "https://a.example/ocm", "displayName": "A"},
        {"url": "https://b.example"},
    ]
    with pytest.raises(Malformed) as refused:
        parse_entries("F", servers)
    assert [name for name, _ in refused.value.fields] == ["servers.1", "servers.2"]


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"servers":[]}', b'{"federation":"F"}'])
def test_what_is_no_directory_is_refused_unsigned_too(body):
    with pytest.raises(Malformed):
        parse_unsigned(body)
