"""What the operator does on the management listener, by page and by API: once, with an entry by
whom, and with a clear no."""

import asyncio
import json
import time
from dataclasses import replace

import aiohttp
import pytest

from gateway.model import Decision, Errand, ReceivedState, SentState, Standing
from gateway.sharing import notices
from gateway.store import audit, outbox
from gateway.store.audit import Wanted
from gateway.store.tables import received_shares
from tests.pair import eventually
from tests.peer import Answer
from tests.servers import PASSWORD
from tests.sharing.stage import create_share, send_share
from tests.web.operator_desk import OLGA, WHO, Operator, operator

HOLD = {"policy": {"rules": [{"id": "new", "who": "everyone", "then": "quarantine"}]}}
QUIET = {"outbox": {"first_retry_seconds": 600}}


async def entries(gateway, **wanted):
    found = await gateway.state.database.read(
        lambda connection: audit.entries(connection, Wanted(**wanted))
    )
    return [one.deed for one in found]


async def held(opened, peer):
    gateway = await opened(**OLGA, **HOLD)
    await send_share(peer, gateway)
    [share] = await gateway.receiving.held()
    return gateway, share


async def test_a_held_share_says_why_and_is_released_once(opened, peer):
    gateway, share = await held(opened, peer)
    async with operator(gateway) as olga:
        assert share.name in (await olga.get("/review")).text
        page = f"/review/{share.id}"
        await olga.get(page)
        assert "Rule <code>new</code>" in olga.text
        [arrived] = await entries(gateway, what="received.arrived")
        assert f"/decisions/{arrived.decision}" in olga.text
        form = olga.form("release")
        first, second = await asyncio.gather(
            *(olga.session.post(olga.url, data=form, allow_redirects=False) for _ in range(2))
        )
        assert {first.status, second.status} == {303}
        assert (await gateway.receiving.by_id(share.id)).state is ReceivedState.PENDING
        [deed] = await entries(gateway, what="review.released")
        assert (deed.who, deed.about) == (WHO, share.id)
        await olga.get(page)
        assert "Release it" not in olga.text
        assert "held for review" in olga.text, "in the trail"
        await olga.send("POST", page, data=form | {"once": "another"})
        assert olga.status == 409
        assert "not held" in olga.text
        assert len(await entries(gateway, what="review.released")) == 1


async def test_a_held_share_is_turned_away_only_by_who_is_sure(opened, peer):
    gateway, share = await held(opened, peer)
    async with operator(gateway) as olga:
        page = f"/review/{share.id}"
        await olga.act(page, "refuse")
        assert (olga.status, "confirm" in olga.text) == (400, True)
        assert (await gateway.receiving.by_id(share.id)).state is ReceivedState.QUARANTINED
        await olga.act(page, "refuse", sure="yes")
        assert (olga.status, "turned away" in olga.text) == (200, True)
        assert (await gateway.receiving.by_id(share.id)).state is ReceivedState.DECLINED
        assert [one.who for one in await entries(gateway, what="review.refused")] == [WHO]
        await olga.get("/review/nothing")
        assert olga.status == 404


async def test_what_is_refused_because_of_a_slip_may_be_sent_again(opened, peer):
    gateway, share = await held(opened, peer)
    async with operator(gateway) as olga:
        await olga.get(f"/review/{share.id}")
        form = olga.form("refuse")
        await olga.send("POST", f"/review/{share.id}", data=form)
        assert olga.status == 400
        await olga.send("POST", f"/review/{share.id}", data=form | {"sure": "yes"})
        assert (await gateway.receiving.by_id(share.id)).state is ReceivedState.DECLINED


async def test_a_share_that_goes_is_reviewed_by_api(opened, peer):
    gateway = await opened(**OLGA, **HOLD)
    share = await create_share(gateway, peer)
    assert share.state is SentState.HELD
    async with operator(gateway) as olga:
        found = await olga.api("GET", "/review?way=out")
        assert [one["id"] for one in found] == [share.provider_id]
        assert await olga.api("GET", "/review?way=in") == []
        for wrong in ("", "?way=up"):
            await olga.api("GET", f"/review{wrong}")
            assert olga.status == 400
        shown = await olga.api("GET", f"/review/{share.provider_id}")
        assert "quarantine" in {one["outcome"] for one in shown["trail"]}
        done = await olga.api("POST", f"/review/{share.provider_id}/release")
        assert (olga.status, done["state"]) == (200, "sent")
        again = await olga.api("POST", f"/review/{share.provider_id}/release")
        assert (olga.status, again["code"]) == (409, "CONFLICT")
        await olga.api("POST", "/review/nothing/refuse")
        assert olga.status == 404


async def dead_letter(opened, peer):
    """A share that was not delivered, and given up."""
    gateway = await opened(**OLGA, **QUIET)
    peer.on("POST /ocm/shares", Answer(403, {"message": "not you"}))
    share = await create_share(gateway, peer)
    [entry] = await gateway.outbox.all()
    assert entry.dead
    return gateway, share, entry


async def test_a_dead_letter_is_retried_and_says_how_it_failed_until_it_is_delivered(opened, peer):
    gateway, share, entry = await dead_letter(opened, peer)
    async with operator(gateway) as olga:
        await olga.act("/outbox", "retry", {"id": entry.id})
        assert (olga.status, "It failed again" in olga.text) == (200, True)
        assert "not you" in olga.text
        assert "given up" in olga.text
        peer.on("POST /ocm/shares", Answer(201, {}))
        await olga.act("/outbox", "retry", {"id": entry.id})
        assert "Delivered." in olga.text
        assert "Everything was delivered." in olga.text
        assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT
        found = await entries(gateway, what="outbox.retried")
        assert [(one.who, one.about) for one in found] == [(WHO, share.provider_id)] * 2
        await olga.get("/outbox")
        assert "Delivered." not in olga.text, "it is said once"


async def test_an_errand_is_given_up_by_page_and_api(opened, peer):
    gateway, _, entry = await dead_letter(opened, peer)
    async with operator(gateway) as olga:
        await olga.act("/outbox", "drop", {"id": entry.id})
        assert olga.status == 400
        assert [one["givenUp"] for one in await olga.api("GET", "/outbox")] == [True]
        await olga.act("/outbox", "drop", {"id": entry.id}, sure="yes")
        assert await olga.api("GET", "/outbox") == []
        await olga.api("DELETE", f"/outbox/{entry.id}")
        assert olga.status == 404
        await olga.api("POST", f"/outbox/{entry.id}/retry")
        assert olga.status == 404
        assert [one.who for one in await entries(gateway, what="outbox.dropped")] == [WHO]


async def test_a_server_is_added_approved_pinned_blocked_and_forgotten(opened, peer):
    gateway = await opened(**OLGA)
    await send_share(peer, gateway)
    name = peer.authority
    [key] = await eventually(lambda: gateway.others.registry.keys_of(name))
    async with operator(gateway) as olga:
        page = f"/servers/{name}"
        await olga.act(page, "approve", comment="They are nice.")
        assert "They are nice." in olga.text
        await olga.act(page, "pin", {"key": key.thumbprint})
        assert "pinned" in olga.text
        await olga.act(page, "unpin", {"key": key.thumbprint})
        await olga.act(page, "block")
        assert olga.status == 400
        assert gateway.others.registry.standing(name) is Standing.APPROVED
        await olga.act(page, "block", sure="yes", comment="They spam.")
        assert gateway.others.registry.standing(name) is Standing.BLOCKED
        await olga.act(page, "reset", sure="yes")
        assert await gateway.others.registry.keys_of(name) == []
        await olga.act(page, "remove", sure="yes")
        assert olga.url.endswith("/servers")
        await olga.get(page)
        assert olga.status == 404
        await olga.act("/servers", "add", server="New.example", comment="")
        assert olga.url.endswith("/servers/new.example")
        await olga.act("/servers", "add", server="https://x/y", comment="")
        assert olga.status == 400
    found = await entries(gateway, what="peer.")
    assert [one.what.removeprefix("peer.") for one in found] == [
        "approved", "pinned", "unpinned", "blocked", "reset", "removed", "added",
    ]  # fmt: skip
    assert {one.who for one in found} == {WHO}


async def test_servers_are_found_and_come_in_parts(opened):
    gateway = await opened(**OLGA)
    for number in range(60):
        await gateway.others.registry.add(f"s{number:02}.example", "even" if number % 2 else "odd")
    async with operator(gateway) as olga:
        assert "Part 1 of 2, 60 in all" in (await olga.get("/servers")).text
        assert "s59.example" in (await olga.get("/servers?page=2")).text
        assert "s41.example" not in (await olga.get("/servers?q=odd")).text
        found = await olga.api("GET", "/servers?q=S4")
        assert [one["authority"] for one in found] == [f"s4{n}.example" for n in range(10)]
        await gateway.others.registry.decide("s07.example", Standing.BLOCKED, "STRASSE")
        found = await olga.api("GET", "/servers?q=straße")
        assert [one["authority"] for one in found] == ["s07.example"]
        assert "s07.example" not in (await olga.get("/servers?q=odd")).text
        found = await olga.api("GET", "/servers?page=2&size=50")
        assert [one["authority"] for one in found] == [f"s5{n}.example" for n in range(10)]
        for query in ("?page=x", "?page=-1", "?page=99999999999999"):
            assert (await olga.get(f"/servers{query}")).status == 200
        await olga.api("GET", "/servers?nothing=1")
        assert olga.status == 400


async def test_errands_are_found_and_come_in_parts_those_given_up_first(opened):
    gateway = await opened(**OLGA, **QUIET)

    def fill(connection):
        for number in range(120):
            entry = notices.entry(Errand.SHARE, f"Share-{number}", "cloud.example", 1 << 32)
            outbox.add(connection, replace(entry, id=f"e{number}", dead=number >= 115))

    await gateway.state.database.write(fill)
    async with operator(gateway) as olga:
        await olga.get("/outbox?page=3")
        assert "Part 3 of 3, 120 in all" in olga.text
        assert "5 errands were given up" in olga.text
        await olga.get("/outbox?q=share-117")
        assert olga.text.count("<code>Share-") == 1
        found = await olga.api("GET", "/outbox?size=7")
        assert [one["id"] for one in found] == ["e115", "e116", "e117", "e118", "e119", "e0", "e1"]
        assert olga.headers["X-Total-Count"] == "120"
        assert 'page=2>; rel="next"' in olga.headers["Link"]
        assert len(await olga.api("GET", "/outbox?q=CLOUD&page=2&size=100")) == 20


async def test_decisions_come_in_parts(opened):
    gateway = await opened(**OLGA)
    one = Decision(
        "", int(time.time()), "share-in", "cloud.example", "", "deny", "", "", "", "", "", "[]"
    )
    for number in range(110):
        server = "cloud.example" if number % 2 else "other.example"
        gateway.ledger.write(replace(one, id=f"d{number}", provider=server))
    async with operator(gateway) as olga:
        found = await olga.api("GET", "/decisions?server=cloud.example&size=50&page=2")
        assert [one["id"] for one in found] == ["d9", "d7", "d5", "d3", "d1"]
        assert olga.headers["X-Total-Count"] == "55"
        await olga.get("/decisions?page=3")
        assert "Part 3 of 3, 110 in all" in olga.text
        await olga.get("/decisions?server=cloud.example")
        assert 'href="/decisions?server=cloud.example&amp;page=2"' in olga.text


async def test_held_shares_come_in_parts_each_way(opened, peer):
    gateway, share = await held(opened, peer)

    def copy(connection):
        row = dict(connection.execute(received_shares.select()).mappings().one())
        for number in range(60):
            name, vault = f"copy-{number}", gateway.state.vault
            sealed = vault.seal(share.shared_secret, name)
            new = {"id": name, "provider_id": name, "folder": name, "sealed_secret": sealed}
            connection.execute(received_shares.insert().values(**row | new))
        over = received_shares.update().where(received_shares.c.id == "copy-9")
        connection.execute(over.values(expiration_at=1))

    await gateway.state.database.write(copy)
    async with operator(gateway) as olga:
        assert "60 wait for review" in (await olga.get("/")).text
        await olga.get("/review")
        assert 'href="/review?q=&amp;in=2"' in olga.text
        assert "Part 2 of 2, 60 in all" in (await olga.get("/review?in=2")).text
        assert len(await olga.api("GET", "/review?way=in&size=40&page=2")) == 20
        assert olga.headers["X-Total-Count"] == "60"


async def test_a_server_is_tested_and_the_page_says_where_it_breaks(opened, peer):
    gateway = await opened(**OLGA)
    await gateway.others.registry.add(peer.authority, "")
    async with operator(gateway) as olga:
        page = f"/servers/{peer.authority}"
        await olga.act(page, "test")
        while "is running" in olga.text:
            assert olga.headers["Refresh"] == "2"
            await asyncio.sleep(0.1)
            await olga.get(page)
        assert "Refresh" not in olga.headers
        assert "<strong>dns</strong>" in olga.text
        assert "<strong>signature</strong>" in olga.text
        tested = await olga.api("POST", f"/servers/{peer.authority}/test")
        assert (tested["by"], tested["server"]) == (WHO, peer.authority)
        assert {one["check"] for one in tested["findings"]} >= {"dns", "tcp", "keys", "policy"}
        dead = await olga.api("POST", "/servers/127.0.0.1:1/test")
        assert (dead["ok"], dead["failedAt"]) == (False, "tcp")
    found = await entries(gateway, what="peer.tested")
    assert [one.who for one in found] == [WHO] * 3


async def test_two_who_test_a_server_at_once_get_one_test(opened, peer):
    gateway = await opened(**OLGA)
    begun = await asyncio.gather(
        *(gateway.trials.begin(peer.authority, by="operator") for _ in range(3))
    )
    assert sorted(begun) == [False, False, True]


async def test_a_key_is_staged_activated_and_retired_by_who_is_sure(opened):
    gateway = await opened(**OLGA)
    before = gateway.ring.active.kid
    async with operator(gateway) as olga:
        await olga.act("/keys", "stage", algorithm="ed25519")
        assert olga.status == 400
        await olga.act("/keys", "stage", algorithm="nonsense", sure="yes")
        assert olga.status == 400
        await olga.get("/keys")
        form = olga.form("stage") | {"algorithm": "ed25519", "sure": "yes"}
        for _ in range(2):
            await olga.send("POST", "/keys", data=form)
        staged = [one["kid"] for one in await olga.api("GET", "/keys") if one["state"] == "staged"]
        assert len(staged) == 1, "a second press stages no second key"
        await olga.act("/keys", "activate", {"kid": staged[0]}, sure="yes")
        assert gateway.ring.active.kid == staged[0]
        await olga.act("/keys", "retire", {"kid": before}, sure="yes")
        assert before not in {one.kid for one in gateway.ring.published}
        await olga.send("POST", "/keys", data=form | {"once": "", "do": "retire", "kid": staged[0]})
        assert (olga.status, "activate another" in olga.text) == (409, True)
        await olga.api("POST", "/keys/retire", {"kid": "nothing"})
        assert olga.status == 404
        made = await olga.api("POST", "/keys", {"algorithm": "es256"})
        assert (olga.status, made["state"]) == (201, "staged")
        assert "d" not in made["jwk"]
        await olga.api("POST", "/keys", {"algorithm": "none"})
        assert olga.status == 400
    found = await entries(gateway, what="key.")
    assert [one.what for one in found] == ["key.staged", "key.active", "key.retired", "key.staged"]
    assert {one.who for one in found} == {WHO}


async def test_the_trail_is_searched_in_parts_and_leads_to_every_decision(opened):
    gateway = await opened(**OLGA)
    for number in range(70):
        who = "a@a.example" if number % 2 else "b@b.example"
        await gateway.audit.record("sent.created", who=who, about=f"share-{number}")
    async with operator(gateway) as olga:
        await olga.get("/audit?who=b%40b.example&what=sent.")
        assert olga.text.count("<tr><td>") == 35
        await olga.get("/audit?what=sent.")
        assert olga.text.count("<tr><td>") == 50
        found = await olga.api("GET", "/audit?what=sent.")
        assert len(found["entries"]) == 50
        older = await olga.api("GET", f"/audit?what=sent.&before={found['before']}")
        assert (len(older["entries"]), older["before"]) == (20, 0)
        decision = older["entries"][0]["decision"]
        assert "No rule was asked" in (await olga.get(f"/decisions/{decision}")).text
        for query in ("before=x", "before=-1", "before=1e3", f"who={'x' * 2000}"):
            assert (await olga.get(f"/audit?{query}")).status == 400, query
        assert (await olga.get("/decisions/nothing")).status == 404


async def test_the_chain_is_verified_and_a_change_is_named(opened):
    gateway = await opened(**OLGA)
    for _ in range(3):
        await gateway.audit.record("sent.created", who="a@a.example")
    async with operator(gateway) as olga:
        await olga.act("/audit", "verify")
        assert "The chain holds" in olga.text
        await gateway.state.database.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE audit SET what = 'sent.revoked' WHERE position = 2"
            )
        )
        await olga.act("/audit", "verify")
        assert "The chain does not hold: entry 2" in olga.text
        assert (await olga.api("POST", "/audit/verify"))["damaged"] == 2


@pytest.mark.parametrize(
    ("path", "do"),
    [
        ("/servers", "add"),
        ("/servers/known.example", "block"),
        ("/outbox", "drop"),
        ("/keys", "stage"),
        ("/audit", "verify"),
        ("/review/x", "release"),
    ],
)
async def test_nobody_acts_without_a_log_in_or_from_another_site(opened, path, do):
    gateway = await opened(**OLGA)
    await gateway.others.registry.add("known.example", "")
    async with operator(gateway) as olga:
        await olga.get("/servers")
        good = olga.form("add") | {"do": do, "sure": "yes", "server": "evil.example"}
        nobody = {"Authorization": ""}
        assert (await olga.send("POST", path, data=good, headers=nobody)).status == 401
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await olga.send("POST", path, data=good, headers=headers)).status == 403
        assert (await olga.send("POST", path, data=good | {"csrf": "x"})).status == 403
        assert (await olga.send("POST", path, data=good | {"do": "dance"})).status in (400, 404)
    async with aiohttp.ClientSession() as session:
        stranger = Operator(gateway, session)
        assert (await stranger.get(path)).status in (200, 404)
        assert 'method="post"' not in stranger.text
    done = [one.what for one in await entries(gateway) if one.outcome == "done"]
    assert set(done) <= {"policy.adopted"}
    assert gateway.others.registry.standing("evil.example") is Standing.KNOWN


async def test_servers_are_taken_in_by_the_api_once_it_was_looked_at(opened):
    gateway = await opened(**OLGA)
    text = "authority,standing\na.example.org,approved\nb.example.org,blocked\n"
    async with operator(gateway) as olga:
        body = {"text": text, "format": "csv"}
        seen = await olga.api("POST", "/imported-servers", body)
        assert (olga.status, seen["applied"], len(seen["changes"])) == (200, False, 2)
        assert await gateway.others.registry.all() == []
        done = await olga.api("POST", "/imported-servers", body | {"apply": True})
        assert (done["applied"], done["changes"]) == (True, seen["changes"])
        assert gateway.others.registry.standing("b.example.org") is Standing.BLOCKED
        assert [one.who for one in await entries(gateway, what="peer.imported")] == [WHO] * 2
        await olga.api("POST", "/imported-servers", body | {"text": "nonsense"})
        assert olga.status == 400


async def test_the_api_tells_the_configuration_without_secrets(opened):
    gateway = await opened(**OLGA)
    async with operator(gateway) as olga:
        shown = await olga.api("GET", "/configuration")
        found = {one["name"]: one for one in shown["settings"]}
        assert found["policy.default"]["origin"] == shown["file"]
        assert PASSWORD not in str(shown)


async def test_a_directory_is_fetched_by_the_api(opened, peer):
    listed = {
        "federation": "Test",
        "servers": [{"url": "https://a.example.org", "displayName": "A"}],
    }
    peer.on("GET /list.json", Answer(200, body=json.dumps(listed).encode()))
    one = {"name": "one", "url": f"http://{peer.authority}/list.json", "unsigned": True}
    gateway = await opened(**OLGA, directories={"services": [one]})
    async with operator(gateway) as olga:
        state = await olga.api("POST", "/directories/one/refresh")
        assert (olga.status, state["federation"]) == (200, "Test")
        assert await olga.api("GET", "/directories") == [state]
        await olga.api("POST", "/directories/two/refresh")
        assert olga.status == 404


async def test_the_api_describes_itself_and_acts_only_for_an_operator(opened):
    gateway = await opened(**OLGA)
    async with operator(gateway) as olga:
        document = await olga.api("GET", "/openapi.json")
        acts = [
            (method, path.format(server="known.example", id="x"))
            for path, methods in document["paths"].items()
            for method in methods
            if method != "get"
        ]
        assert len(acts) > 15
        for method, path in acts:
            for headers, status in (
                ({"Authorization": ""}, 401),
                ({"Origin": "https://evil.example"}, 403),
            ):
                await olga.send(method.upper(), f"/api/v1{path}", json={}, headers=headers)
                assert olga.status == status, (method, path)
        await olga.api("PATCH", "/keys")
        assert olga.status == 405
        await olga.api("GET", "/nothing")
        assert olga.status == 404
