"""People are told: by mail, by a webhook, once, and never at the cost of a share."""

import base64
import hmac
import json
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from functools import partial

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.app import place_of
from gateway.config import Misconfigured, News
from gateway.model import NewsKind
from gateway.ocm.invites import parse_invite
from gateway.store.leases import Lease
from gateway.store.news import MOST_WAITING, PAUSE_SECONDS
from gateway.store.state import open_state
from tests.pair import eventually
from tests.sharing.stage import Clock, address, create_share, send_share
from tests.test_mail import smtp
from tests.web.browser import browser
from tests.web.test_api import ask

NOWHERE = {"host": "127.0.0.1", "port": 9, "security": "none", "sender": "ocm@x.example"}


def mailing(port, **news):
    return {
        "mail": NOWHERE | {"port": port},
        "news": {"address": "{user}@people.example"} | news,
    }


@asynccontextmanager
async def hook(*statuses):
    """Somebody who takes news in, after answering with these."""
    taken, answers = [], list(statuses)

    async def take(request):
        taken.append((dict(request.headers), await request.read()))
        return web.Response(status=answers.pop(0) if answers else 204)

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/hook")), taken


def letters(box):
    return [message_from_bytes(one.content, policy=policy.default) for _, _, one in box.letters]


@pytest.mark.conforms("OCM-6.4-02")
async def test_a_new_share_is_mailed_once_and_says_who_and_what_alone(opened, peer):
    with smtp() as (box, port):
        gateway = await opened(**mailing(port))
        body = await send_share(
            peer, gateway, description="Click https://evil.example", name="a\u2028b"
        )
        assert (await peer.post(f"{gateway.ours.end_point}/shares", body)).status == 201
        await eventually(lambda: box.letters)
        await eventually(lambda: _nothing_waits(gateway))
        [letter] = letters(box)
        assert letter["To"] == "alice@people.example"
        assert letter["Subject"] == f"{body['sender']} shares “a b” with you"
        text = letter.get_content()
        assert "evil.example" not in text
        assert body["protocol"]["webdav"]["sharedSecret"] not in text
        assert f"{gateway.ours.origin}/received" in text


async def _nothing_waits(gateway):
    return await gateway.newsroom.waiting() == []


async def test_what_happens_within_five_minutes_is_one_mail(opened, peer):
    clock = Clock()
    with smtp() as (box, port):
        gateway = await opened(clock=clock, **mailing(port))
        await send_share(peer, gateway)
        await eventually(lambda: box.letters)
        for _ in range(3):
            await send_share(peer, gateway)
        while await gateway.newsroom.tell_next():
            pass
        assert len(box.letters) == 1
        clock.now += PAUSE_SECONDS
        await eventually(lambda: len(box.letters) == 2)
        assert letters(box)[1].get_content().count("shares “") == 3


async def test_who_does_not_want_mail_gets_none(opened, peer):
    with smtp() as (box, port):
        gateway = await opened(**mailing(port))
        async with browser(gateway) as alice:
            await alice.login()
            assert "alice@people.example" in (await alice.get("/settings")).text
            await alice.submit("/settings", "/settings", mail="")
            assert " checked" not in (await alice.get("/settings")).text
        await send_share(peer, gateway)
        await eventually(lambda: _nothing_waits(gateway))
        assert box.letters == []
        status, said, _ = await ask(gateway, "PUT", "/settings", {"byMail": True})
        assert (status, said) == (200, {"byMail": True, "language": "en"})
        await send_share(peer, gateway)
        await eventually(lambda: box.letters)


async def test_mail_and_webhook_speak_the_language_of_who_is_told(opened):
    clock = Clock()
    with smtp() as (box, port):
        async with hook() as (url, taken):
            gateway = await opened(clock=clock, **mailing(port, webhook=url))

            def add(connection):
                happened = (NewsKind.SHARE_RECEIVED, "alice", "x@y.example", "trip", "1")
                gateway.newsroom.add(connection, *happened)

            async def told():
                before = len(box.letters), len(taken)
                clock.now += PAUSE_SECONDS
                await gateway.state.database.write(add)
                await eventually(
                    lambda: (len(box.letters), len(taken)) == tuple(number + 1 for number in before)
                )
                return letters(box)[-1], json.loads(taken[-1][1])["text"]

            letter, text = await told()
            assert " with you" in letter["Subject"]
            async with browser(gateway, **{"Accept-Language": "de"}) as alice:
                await alice.login()
                letter, text = await told()
                assert text.endswith(" mit Ihnen.")
                assert letter["Subject"] + "." == text
                assert "Sehen Sie hier nach:" in letter.get_content()
                far = {"Sec-Fetch-Site": "cross-site"}
                await alice.get("/language?to=en&next=/settings", headers=far)
                assert (await told())[1].endswith(" mit Ihnen.")
                await alice.get("/language?to=en&next=/settings")
                assert (await told())[1].endswith(" with you.")
                shown = await alice.submit("/settings", "/settings", mail="1", language="de")
                assert '<html lang="de">' in shown.text
                assert (await told())[1].endswith(" mit Ihnen.")
                shown = await alice.submit("/settings", "/settings", mail="1", language="xx")
                assert "nicht gesprochen" in shown.text
            status, said, _ = await ask(
                gateway, "PUT", "/settings", {"byMail": True, "language": "tlh"}
            )
            assert (status, said["validationErrors"][0]["name"]) == (400, "language")
            assert (await ask(gateway, "GET", "/settings"))[1]["language"] == "de"


async def test_who_is_asked_to_share_is_told_of_it(opened, peer):
    with smtp() as (box, port):
        async with hook() as (url, taken):
            gateway = await opened(**mailing(port, webhook=url))
            share = await create_share(gateway, peer)
            asked = {
                "owner": address(gateway),
                "shareWith": f"curie@{peer.authority}",
                "share": share.provider_id,
            }
            for _ in range(2):  # the same request counts once
                reply = await peer.post(f"{gateway.ours.end_point}/request-share", asked)
                assert reply.status == 201
            await eventually(lambda: box.letters and taken)
            await eventually(lambda: _nothing_waits(gateway))
            [letter] = letters(box)
            assert letter["Subject"] == f"You are asked to share “trip” with {asked['shareWith']}"
            assert f"{gateway.ours.origin}/requests" in letter.get_content()
            [(_, body)] = taken
            [request] = await gateway.requests.all("alice")
            told = json.loads(body)
            assert (told["type"], told["about"]) == ("request-received", request.id)
            assert (told["user"], told["who"]) == ("alice", asked["shareWith"])


async def test_a_share_is_taken_while_mail_and_webhook_are_dead_and_told_of_later(opened, peer):
    clock = Clock()
    async with hook(500, 503) as (url, taken):
        gateway = await opened(clock=clock, **mailing(9, webhook=url))
        await send_share(peer, gateway)
        waiting = await eventually(lambda: _tried(gateway))
        assert {one.kind for one in waiting} == {NewsKind.SHARE_RECEIVED}
        clock.now += 3600
        await eventually(lambda: len(taken) == 2)
        clock.now += 3600
        await eventually(lambda: len(taken) == 3)
        assert len({headers["Webhook-Id"] for headers, _ in taken}) == 1
        clock.now += 25 * 3600
        await eventually(lambda: _nothing_waits(gateway))


async def _tried(gateway):
    waiting = await gateway.newsroom.waiting()
    return waiting if [one.attempts for one in waiting] == [1, 1] else None


async def test_a_webhook_gets_signed_news_without_a_secret_in_it(opened, peer, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    async with hook() as (url, taken):
        gateway = await opened(news={"webhook": url, "webhook_secret_file": str(secret)})
        share = await create_share(gateway, peer)
        answer = {
            "notificationType": "SHARE_ACCEPTED",
            "resourceType": "folder",
            "providerId": share.provider_id,
        }
        reply = await peer.post(f"{gateway.ours.end_point}/notifications", answer)
        assert reply.status == 201
        await eventually(lambda: taken)
        [(headers, body)] = taken
        told = json.loads(body)
        assert (told["type"], told["user"]) == ("share-accepted", "alice")
        assert (told["who"], told["what"]) == (share.share_with, "trip")
        assert (told["about"], told["server"]) == (share.provider_id, gateway.ours.authority)
        assert share.shared_secret not in body.decode()
        signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
        mac = hmac.digest(b"k" * 32, signed, "sha256")
        assert headers["Webhook-Signature"] == "v1," + base64.b64encode(mac).decode()


async def test_an_accepted_invite_is_told_of(opened):
    async with hook() as (url, taken):
        here, there = await opened(folder="here", news={"webhook": url}), await opened(folder="b")
        _, made, _ = await ask(here, "POST", "/invites", {})
        status, _, _ = await ask(
            there, "POST", "/accepted-invites", {"invite": made["inviteString"]}, user="bob"
        )
        assert status == 201
        await eventually(lambda: taken)
        told = json.loads(taken[0][1])
        assert (told["type"], told["who"]) == ("invite-accepted", f"bob@{there.ours.authority}")
        assert parse_invite(made["inviteString"]).token not in str(told)


async def test_a_flood_of_shares_does_not_fill_the_database(opened):
    gateway = await opened(clock=Clock(), listens=False, **mailing(9))

    def many(connection):
        for number in range(MOST_WAITING + 5):
            gateway.newsroom.add(
                connection, NewsKind.SHARE_RECEIVED, "alice", "x@y.example", "z", str(number)
            )

    await gateway.state.database.write(many)
    assert len(await gateway.newsroom.waiting()) == MOST_WAITING


async def test_one_process_tells_and_another_when_that_one_is_gone(opened, peer):
    async with hook() as (url, taken):
        gateway = await opened(listens=False, news={"webhook": url})
        settings = gateway.settings.state
        other = await open_state(settings.folder, place_of(settings), settings.key_path)
        assert await Lease("news", other, lambda: 1000).take()
        await gateway.state.database.write(
            partial(gateway.newsroom.add, kind=NewsKind.SHARE_RECEIVED, user="alice",
                    who="x", what="y", about="z")
        )  # fmt: skip
        assert not await gateway.newsroom.tell_next()
        assert taken == []
        await other.close()
        assert await gateway.newsroom.tell_next()
        assert len(taken) == 1
        assert await gateway.newsroom.waiting() == []


async def test_without_mail_and_webhook_nothing_is_kept(gateway, peer):
    await send_share(peer, gateway)
    assert await gateway.newsroom.waiting() == []


@pytest.mark.parametrize(
    "news",
    [
        {"webhook": "http://127.0.0.2/hook"},
        {"webhook": "https://user:pass@chat.example/hook"},
        {"address": "somebody@example.org"},
        {"webhook_secret_file": "missing"},
    ],
    ids=str,
)
async def test_news_that_would_go_astray_is_a_fault_of_the_configuration(opened, news):
    with pytest.raises(Misconfigured):
        await opened(news=news)


def test_an_address_needs_a_place_for_the_user():
    assert News(address="{user}@example.org").address == "{user}@example.org"
