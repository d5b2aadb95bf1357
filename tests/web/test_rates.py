"""Who asks too often is told so, with the time to wait: servers, users, addresses, guessers."""

import aiohttp

from tests.sharing.stage import (
    ALICE,
    address,
    browse,
    create_share,
    notifications_of,
    shares_of,
    token_of,
    visit,
)
from tests.web.browser import browser

ON = {"rate_limits": True}


def expect_slowed(status, headers):
    assert status == 429
    assert 1 <= int(headers["Retry-After"]) <= 60


async def test_a_proven_server_is_counted_wherever_it_calls_from(opened, peer, other):
    gateway = await opened(
        testing=ON,
        limits={"provider_requests_per_minute": 2},
        public={"trusted_proxies": ["127.0.0.1"]},
    )

    async def offer(sender, number):
        call = sender.signed("POST", shares_of(gateway), sender.share(address(gateway)))
        return await sender.send(call.having(X_Forwarded_For=f"192.0.2.{number}"))

    assert [(await offer(peer, number)).status for number in range(2)] == [201, 201]
    slowed = await offer(peer, 3)
    expect_slowed(slowed.status, slowed.headers)
    assert (await offer(other, 4)).status == 201
    assert len(await gateway.receiving.inbox()) == 3


async def test_a_server_that_was_not_proven_uses_up_nobodys_share(opened, peer, other):
    gateway = await opened(testing=ON, limits={"provider_requests_per_minute": 1})
    for _ in range(3):
        forged = peer.signed(
            "POST", shares_of(gateway), peer.share(address(gateway)), key=other.key
        )
        assert (await peer.send(forged)).status == 401
    assert (await peer.post(shares_of(gateway), peer.share(address(gateway)))).status == 201


async def test_each_address_of_the_api_is_counted_alone(opened, peer):
    gateway = await opened(testing=ON, limits={"ocm_requests_per_minute": 1})
    assert (await peer.post(shares_of(gateway), b"{}")).status == 400
    slowed = await peer.post(shares_of(gateway), b"{}")
    expect_slowed(slowed.status, slowed.headers)
    assert (await peer.post(notifications_of(gateway), b"{}")).status == 400


async def test_one_network_of_ipv6_is_one_caller(opened, peer):
    gateway = await opened(
        testing=ON,
        limits={"ocm_requests_per_minute": 1},
        public={"trusted_proxies": ["127.0.0.1"]},
    )

    async def ask(caller):
        call = peer.signed("POST", shares_of(gateway), b"{}")
        return (await peer.send(call.having(X_Forwarded_For=caller))).status

    assert await ask("2001:db8:1:2::1") == 400
    assert await ask("2001:db8:1:2:ffff::2") == 429
    assert await ask("2001:db8:1:3::1") == 400


async def test_guessing_at_the_secrets_of_shares_is_slowed_down(opened, peer):
    gateway = await opened(testing=ON, limits={"wrong_secrets_per_minute": 2})
    share = await create_share(gateway, peer)
    end_point = gateway.ours.token_end_point
    await token_of(gateway, peer, share)
    for _ in range(2):
        assert (await peer.exchange(end_point, "guess")).json()["error"] == "invalid_grant"
    slowed = await peer.exchange(end_point, share.shared_secret)
    expect_slowed(slowed.status, slowed.headers)


async def test_guessing_at_invites_is_slowed_down(opened, peer):
    gateway = await opened(testing=ON, limits={"wrong_secrets_per_minute": 2})
    body = {
        "recipientProvider": peer.authority,
        "token": "guess",
        "userID": "einstein",
        "email": "",
        "name": "Albert",
    }
    url = f"{gateway.ours.end_point}/invite-accepted"
    assert [(await peer.post(url, body)).status for _ in range(3)] == [400, 400, 429]


async def test_a_user_is_counted_in_pages_and_api_together(opened):
    gateway = await opened(testing=ON, limits={"user_requests_per_minute": 8})
    api = f"{gateway.ours.origin}/api/v1/shares"
    async with browser(gateway) as visitor, aiohttp.ClientSession() as session:
        await visitor.login()
        statuses = []
        for _ in range(8):
            async with session.get(api, headers={"Authorization": ALICE}) as answer:
                statuses.append(answer.status)
        assert statuses[0] == 200
        assert statuses[-1] == 429
        page = await visitor.get("/sessions")
        expect_slowed(page.status, page.headers)
        await visitor.get("/login")


async def test_webdav_of_those_who_are_let_in_is_not_counted(opened, peer):
    lowest = {
        "user_requests_per_minute": 1,
        "provider_requests_per_minute": 1,
        "ocm_requests_per_minute": 1,
        "failed_logins_per_minute": 1,
    }
    gateway = await opened(testing=ON, limits=lowest)
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    for _ in range(5):
        assert (await visit(gateway, peer, share.provider_id, token)).status == 207
        assert (await browse(gateway, peer, "")).status == 207


async def test_guessing_at_a_name_from_many_addresses_is_slowed_down(opened, peer):
    gateway = await opened(
        testing=ON,
        limits={"failed_logins_per_minute": 1},
        public={"trusted_proxies": ["127.0.0.1"]},
    )
    url = f"{gateway.ours.origin}/api/v1/shares"

    async def ask(caller, authorization):
        headers = {"Authorization": authorization, "X-Forwarded-For": caller}
        async with peer.session.get(url, headers=headers) as answer:
            return answer.status

    wrong = "Basic YWxpY2U6d3Jvbmc="  # alice:wrong
    assert [await ask(f"192.0.2.{number}", wrong) for number in range(6)] == [401] * 5 + [429]
    assert await ask("198.51.100.1", ALICE) == 429
