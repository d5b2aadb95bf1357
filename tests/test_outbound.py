"""The way out of the house, on real sockets: no trick of names, addresses or redirects makes it
connect to a private address; a route of the operator does, and to nothing beside it."""

import asyncio
import contextlib
import json
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from jwcrypto.jwk import JWK

from gateway import transport
from gateway.addresses import PrivateRoute, PrivateRoutes
from gateway.config import Misconfigured, _routed_network, parse
from gateway.errors import GatewayError, ProviderFailed, ProviderRefused
from gateway.model import Authority, NewsKind
from gateway.ocm.address import authority
from gateway.ocm.invites import Invite
from gateway.probes.examiner import _Unwatched
from tests.pair import eventually
from tests.peer import Answer
from tests.servers import free_port
from tests.sharing.stage import (
    address,
    browse,
    create_share,
    gateway,
    opened,
    other,
    peer,
    receive_share,
    shares_of,
    storage,
)
from tests.test_config import with_

__all__ = ["gateway", "opened", "other", "peer", "storage"]


@pytest.fixture
async def inside():
    """A server on loopback, IPv4 and IPv6: its port, and who connected to which address."""
    came = []

    async def answer(_, writer):
        came.append(writer.get_extra_info("sockname")[0])
        writer.close()

    first = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    others = [await asyncio.start_server(answer, "127.0.0.2", port)]
    if socket.has_ipv6:
        others.append(await asyncio.start_server(answer, "::1", port))
    yield port, came
    for server in (first, *others):
        server.close()
        await server.wait_closed()


@pytest.fixture
def names(monkeypatch):
    """Sets what names resolve to: a list of addresses for each question, the last one stays."""
    answers = {}
    real = socket.getaddrinfo

    def resolved(host, port, *more, **options):
        queue = answers.get(host)
        if queue is None:
            return real(host, port, *more, **options)
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return answers


@asynccontextmanager
async def way(*routes):
    """A way out with no host for testing."""
    written = PrivateRoutes(PrivateRoute(host, _routed_network(net)) for host, net in routes)
    guarded = transport.Guarded(transport.TestingHosts(), lambda _: None, _Unwatched(), written)
    try:
        yield guarded
    finally:
        await guarded.close()


async def ask(guarded, server, method="GET"):
    """Why a request to a server fails."""
    provider = Authority(server.lower())
    with pytest.raises(GatewayError) as failed:
        async with guarded.request(provider, method, f"https://{server}/", total_seconds=5):
            pass
    return failed.value.explanation


GUARD = "is not an address of the public internet"
NO_NUMBER = "is not a canonical IPv4 address"  # no name is looked up for such a number

SPELLINGS = (
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::1]",
    "[2001:0:7f00:1::80ff:fffe]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "100.100.100.200",
    "192.0.0.192",
)


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_a_private_address_is_connected_to(inside, host):
    port, came = inside
    async with way() as guarded:
        for method in ("GET", "POST"):
            why = await ask(guarded, f"{host}:{port}", method)
            assert GUARD in why or NO_NUMBER in why
    assert came == []


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::1"], ["10.0.0.1", "127.0.0.1"], ["::ffff:127.0.0.1", "169.254.169.254"]],
    ids=str,
)
async def test_no_name_leads_to_a_private_address(inside, names, answer):
    port, came = inside
    names["cloud.example"] = [answer]
    async with way() as guarded:
        assert GUARD in await ask(guarded, f"cloud.example:{port}")
    assert came == []


async def test_a_route_leads_to_its_network_and_of_several_addresses_to_no_other(inside, names):
    port, came = inside
    host = f"cloud.example:{port}"
    names["cloud.example"] = [["127.0.0.1", "::1", "127.0.0.2"]]
    async with way((host, "127.0.0.2")) as guarded:
        assert GUARD not in await ask(guarded, host)
    assert set(came) == {"127.0.0.2"}


@pytest.mark.parametrize("order", [1, -1])
async def test_a_server_is_refused_for_good_only_when_none_of_its_addresses_will_do(names, order):
    host = f"cloud.example:{free_port()}"
    names["cloud.example"] = [["127.0.0.2", "10.0.0.1"][::order]]  # nobody listens at the first
    for route, error in (("127.0.0.2", ProviderFailed), ("127.0.0.3", ProviderRefused)):
        async with way((host, route)) as guarded:
            with pytest.raises(error):
                async with guarded.request(Authority(host), "GET", f"https://{host}/"):
                    pass


async def test_a_name_that_changes_its_answer_leads_nowhere_new(inside, names):
    port, came = inside
    host = f"cloud.example:{port}"
    names["cloud.example"] = [["127.0.0.2"], ["127.0.0.1"]]
    async with way((host, "127.0.0.2")) as guarded:
        assert GUARD not in await ask(guarded, host)
        assert set(came) == {"127.0.0.2"}
        came.clear()
        assert GUARD in await ask(guarded, host, "POST")  # on a fresh connection, resolved anew
    assert came == []


@pytest.mark.parametrize(
    ("route", "server"),
    [
        ("cloud.example:{port}", "other.example:{port}"),
        ("cloud.example:1{port}", "cloud.example:{port}"),
        ("cloud.example", "cloud.example:{port}"),
    ],
)
async def test_a_route_is_for_its_host_and_port_alone(inside, names, route, server):
    port, came = inside
    names["cloud.example"] = names["other.example"] = [["127.0.0.2"]]
    async with way((route.format(port=port), "127.0.0.2")) as guarded:
        assert GUARD in await ask(guarded, server.format(port=port))
    assert came == []


async def test_a_route_does_not_lift_https(inside):
    port, came = inside
    host = f"127.0.0.2:{port}"
    async with way((host, "127.0.0.2")) as guarded:
        with pytest.raises(GatewayError) as refused:
            async with guarded.request(Authority(host), "GET", f"http://{host}/"):
                pass
    assert "not https" in refused.value.explanation
    assert came == []


@pytest.mark.parametrize(
    "settings",
    [
        {"login": {"oidc": {"issuer": "URL", "client_id": "us", "private": True}}},
        {"news": {"webhook": "URL", "webhook_private": True}},
        {"audit": {"stream": "URL", "stream_private": True}},
    ],
    ids=lambda settings: next(iter(settings)),
)
async def test_a_private_server_of_ours_is_reached_by_https_and_not_at_a_clouds_metadata(
    opened, inside, settings
):
    port, came = inside
    host = Authority(f"127.0.0.2:{port}")
    text = json.dumps(settings).replace("URL", f"https://{host}/")
    gateway = await opened(**json.loads(text))
    came.clear()
    assert GUARD not in await ask(gateway.anywhere, host)
    assert set(came) == {"127.0.0.2"}
    with pytest.raises(GatewayError, match="not https"):
        async with gateway.anywhere.request(host, "GET", f"http://{host}/"):
            pass
    for never in (
        "169.254.169.254",
        "fd00:ec2::254",
        "fe80::1",
        "0.0.0.0",
        "::ffff:169.254.169.254",
    ):
        assert not gateway.anywhere.reaches(host, never)
    assert not gateway.anywhere.reaches(Authority("other.example"), "127.0.0.2")
    assert not gateway.others.guarded.reaches(host, "127.0.0.2")


@pytest.mark.parametrize("inner", ["::ffff:127.0.0.2", "127.0.0.2"])
def test_a_mapped_address_of_a_routes_network_is_the_same_address(inner):
    routes = PrivateRoutes([PrivateRoute("cloud.example", _routed_network("127.0.0.2"))])
    assert routes.reach("cloud.example", inner)
    for wrapped in ("64:ff9b::127.0.0.2", "::127.0.0.2", "2002:7f00:2::1", "::ffff:127.0.0.2%1"):
        assert not routes.reach("cloud.example", wrapped)


@pytest.mark.parametrize(
    "network",
    ["169.254.169.254", "169.254.0.0/16", "0.0.0.0/0",
     "128.0.0.0/1", "::/0", "fe80::/10", "ff02::1",
     "224.0.0.1", "::ffff:10.0.0.0/104", "64:ff9b::/96", "fd00:ec2::254", "fc00::/7", "no network"],
)  # fmt: skip
def test_no_route_leads_to_a_link_a_group_or_a_clouds_metadata(network):
    route = {"host": "cloud.example", "network": network}
    with pytest.raises(Misconfigured) as bad:
        parse(with_(outbound={"routes": [route]}))
    assert "outbound.routes.0.network" in bad.value.faults[0]


@pytest.mark.parametrize(
    "route",
    [
        {"host": "cloud.example"},
        {"network": "10.0.0.0/8"},
        {"host": "cloud.example:443", "network": "10.0.0.0/8"},
        {"host": "*.example", "network": "10.0.0.0/8"},
        {"host": "cloud.example", "network": "10.0.0.0/8", "port": 0},
        {"host": "cloud.example", "network": "10.0.0.0/8", "ports": [443]},
    ],
    ids=str,
)
def test_a_route_that_does_not_say_it_all_is_a_fault(route):
    with pytest.raises(Misconfigured):
        parse(with_(outbound={"routes": [route]}))


async def test_the_routes_of_the_configuration_hold(opened, inside, names):
    port, came = inside
    names["cloud.example"] = [["127.0.0.2"]]
    route = {"host": "cloud.example", "network": "127.0.0.2", "port": port}
    gateway = await opened(outbound={"routes": [route]})
    for guarded in (gateway.others.guarded, gateway.anywhere):
        assert GUARD not in await ask(guarded, f"cloud.example:{port}")
        assert GUARD in await ask(guarded, "127.0.0.3:8443")
    assert set(came) == {"127.0.0.2"}


async def test_a_redirect_to_another_server_is_not_followed(gateway, peer, other):
    there = Answer(302, headers={"Location": f"{other.origin}/.well-known/ocm"})
    for path in ("/.well-known/ocm", "/ocm-provider", "/ocm-provider/"):
        peer.on(f"GET {path}", there)
    with pytest.raises(ProviderFailed):
        await gateway.others.discoveries.discover(authority(peer.authority))
    assert peer.seen
    assert other.seen == []


@pytest.fixture
async def uses(opened, peer, tmp_path):
    """A gateway that has dealt with a peer on loopback, and what it does that needs the network."""
    pem = tmp_path / "key.pem"
    pem.write_bytes(JWK.generate(kty="OKP", crv="Ed25519").export_to_pem())
    service = {"name": "national", "url": f"{peer.origin}/list", "key_files": [str(pem)]}
    gateway = await opened(
        breaker={"failures": 1000},
        directories={"services": [service]},
        policy={"bundle": {"url": f"{peer.origin}/policy.jws", "key_file": str(pem)}},
        news={"webhook": f"{peer.origin}/hook"},
        discovery={"cache_seconds": 0, "failure_seconds": 0},
    )
    received, sent = await receive_share(peer, gateway), await create_share(gateway, peer)
    host, someone = authority(peer.authority), f"einstein@{peer.authority}"
    await eventually(lambda: peer.requests("POST /hook"))
    await eventually(lambda: peer.requests("POST /ocm/notifications"))
    peer.key = replace(peer.key, kid=f"{peer.authority}#unknown")
    peer.seen.clear()

    async def webhook():
        told = gateway.newsroom.add
        await gateway.state.database.write(
            lambda connection: told(connection, NewsKind.SHARE_RECEIVED, "alice", "x", "y", "z")
        )
        await gateway.newsroom.tell_next()

    return gateway, {
        "discovery": partial(gateway.others.discoveries.discover, host, afresh=True),
        "keys": partial(peer.post, shares_of(gateway), peer.share(address(gateway))),
        "a share": partial(create_share, gateway, peer),
        "word of it": partial(gateway.sending.revoke, sent.provider_id),
        "a token and a file": partial(browse, gateway, peer, f"{received.folder}/a.txt", "GET"),
        "a request": partial(gateway.asking.send, "alice", someone, "a resource"),
        "an invite": partial(gateway.inviting.accept_invite, "alice", Invite("token", host)),
        "a directory": gateway.directories.refresh,
        "a bundle": gateway.live.fetch_bundle,
        "the webhook": webhook,
    }


async def test_every_use_case_connects_where_it_may(uses, peer):
    for name, use in uses[1].items():
        peer.seen.clear()
        with contextlib.suppress(GatewayError):
            await use()
        await eventually(lambda: peer.seen)
        assert peer.seen, f"{name} never came"


async def test_no_use_case_connects_to_a_private_address(uses, peer):
    gateway, all_ = uses
    for guarded in (gateway.others.guarded, gateway.anywhere):
        await guarded._wide_open.close()
        guarded._wide_open = guarded._closed_in
    for name, use in all_.items():
        with contextlib.suppress(GatewayError):
            await use()
        got = [f"{one.method} {one.path}" for one in peer.seen]
        assert got == [], f"{name} led to the peer"
