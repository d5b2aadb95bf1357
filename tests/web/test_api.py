"""The API for scripts: the same use cases as JSON, described by the document that it serves."""

import base64
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from tests.pair import running
from tests.peer import Answer
from tests.sharing.stage import Clock, gateway, opened, other, peer, storage  # noqa: F401
from tests.test_mail import smtp
from tests.web.browser import browser


def basic(name):
    return "Basic " + base64.b64encode(f"{name}:{name}-password".encode()).decode()


async def ask(gateway, method, path, body=None, user="alice", **headers):  # noqa: F811
    headers = {"Authorization": basic(user)} | headers if user else headers
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"{gateway.ours.origin}/api/v1{path}", json=body, headers=headers
        ) as reply,
    ):
        return reply.status, await reply.json(content_type=None), reply.headers


async def test_a_share_lives_from_its_creation_to_its_end(opened):  # noqa: F811
    here, there = await opened(folder="here"), await opened(folder="there")
    bob = f"bob@{there.ours.authority}"
    status, seen, _ = await ask(here, "GET", f"/recipient?address={bob}")
    assert (status, seen["problem"]) == (200, "")
    new = {"path": "/trip", "shareWith": bob, "permissions": ["read", "write"]}
    status, made, _ = await ask(here, "POST", "/shares", new)
    assert (status, made["state"]) == (201, "sent")
    status, [arrived], _ = await ask(there, "GET", "/received", user="bob")
    assert arrived["providerId"] == made["id"]
    status, accepted, _ = await ask(there, "POST", f"/received/{arrived['id']}/accept", user="bob")
    assert (status, accepted["state"]) == (200, "accepted")
    status, shown, _ = await ask(here, "GET", f"/shares/{made['id']}")
    assert (status, shown["state"], shown["errands"]) == (200, "accepted", [])
    status, ended, _ = await ask(here, "DELETE", f"/shares/{made['id']}")
    assert (status, ended["state"]) == (200, "revoked")
    status, left, _ = await ask(there, "GET", "/received", user="bob")
    assert left == []


async def test_a_share_with_a_group_says_so_on_both_sides(opened):  # noqa: F811
    here = await opened(folder="here")
    there = await opened(folder="there", users={"groups": {"staff": ["alice", "bob"]}})
    new = {"path": "/trip", "shareWith": f"staff@{there.ours.authority}", "shareType": "group"}
    status, made, _ = await ask(here, "POST", "/shares", new)
    assert (status, made["state"], made["shareType"]) == (201, "sent", "group")
    for user in ("alice", "bob"):
        status, [arrived], _ = await ask(there, "GET", "/received", user=user)
        assert (arrived["group"], arrived["recipient"]) == ("staff", user)
        path = f"/received/{arrived['id']}/accept"
        assert (await ask(there, "POST", path, user=user))[1]["state"] == "accepted"
    status, _, _ = await ask(here, "POST", "/shares", new | {"shareType": "federation"})
    assert status == 400


async def test_an_invite_makes_contacts(opened):  # noqa: F811
    here, there = await opened(folder="here"), await opened(folder="there")
    status, made, _ = await ask(here, "POST", "/invites", {"note": "for Bob"})
    assert status == 201
    status, met, _ = await ask(
        there, "POST", "/accepted-invites", {"invite": made["inviteString"]}, user="bob"
    )
    assert (status, met["address"]) == (201, f"alice@{here.ours.authority}")
    status, [contact], _ = await ask(here, "GET", "/contacts")
    assert contact["address"] == f"bob@{there.ours.authority}"
    status, _, _ = await ask(here, "DELETE", f"/contacts/{contact['id']}")
    assert status == 200
    assert (await ask(here, "GET", "/contacts"))[1] == []


async def test_an_invite_is_looked_at_renewed_and_mailed(opened):  # noqa: F811
    clock = Clock()
    with smtp() as (box, port):
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "ocm@x.example"}
        here = await opened(clock, mail=mail)
        _, made, _ = await ask(here, "POST", "/invites", {"expiration": clock.now + 60})
        at = f"/invites/{made['id']}"
        assert (await ask(here, "GET", at))[1] == made
        clock.now += 120
        assert (await ask(here, "POST", f"{at}/mail", {"to": "bob@x.example"}))[0] == 409
        status, renewed, _ = await ask(here, "POST", f"{at}/renew")
        assert (status, renewed["inviteString"]) == (200, made["inviteString"])
        status, mailed, _ = await ask(here, "POST", f"{at}/mail", {"to": "bob@x.example"})
        assert (status, mailed["email"]) == (200, "bob@x.example")
        assert (await ask(here, "POST", f"{at}/mail", {}))[0] == 429
        for method, path, body in (
            ("GET", "", None),
            ("POST", "/renew", None),
            ("POST", "/mail", {}),
        ):
            assert (await ask(here, method, at + path, body, user="bob"))[0] == 404
    assert [one.rcpt_tos for _, _, one in box.letters] == [["bob@x.example"]]


async def test_one_sees_and_ends_where_one_is_logged_in(gateway):  # noqa: F811
    async with browser(gateway) as first, browser(gateway) as second, browser(gateway) as bob:
        for one, name in ((first, "alice"), (second, "alice"), (bob, "bob")):
            await one.login(name)
        status, found, _ = await ask(gateway, "GET", "/sessions")
        assert (status, [one["user"] for one in found]) == (200, ["alice", "alice"])
        [bobs], at = (await ask(gateway, "GET", "/sessions", user="bob"))[1], "/sessions"
        assert (await ask(gateway, "DELETE", f"{at}/{bobs['id']}"))[0] == 404
        assert (await ask(gateway, "DELETE", f"{at}/{found[0]['id']}"))[0] == 200
        assert (await ask(gateway, "GET", at))[1] == found[1:]
        assert (await ask(gateway, "DELETE", at))[1] == {"ended": 1}
        assert "/login" in (await first.get("/sent")).url
        assert "/login" not in (await bob.get("/sent")).url


async def test_a_request_that_did_not_arrive_is_sent_again(gateway, peer):  # noqa: F811
    peer.on("POST /ocm/request-share", Answer(503))
    wanted = {"owner": f"galileo@{peer.authority}", "share": "/trip"}
    _, made, _ = await ask(gateway, "POST", "/sent-requests", wanted)
    at = f"/sent-requests/{made['id']}"
    _, shown, _ = await ask(gateway, "GET", at)
    assert (shown["state"], len(shown["errands"])) == ("pending", 1)
    peer.on("POST /ocm/request-share", Answer(201, body=b"{}"))
    assert (await ask(gateway, "POST", f"{at}/retry", user="bob"))[0] == 404
    status, sent, _ = await ask(gateway, "POST", f"{at}/retry")
    assert (status, sent["state"], sent["errands"]) == (200, "sent", [])


async def test_a_contact_is_renamed_trusted_carried_over_and_left(opened):  # noqa: F811
    here, there = await opened(folder="here"), await opened(folder="there")
    bob = f"bob@{there.ours.authority}"
    _, made, _ = await ask(here, "POST", "/contacts", {"address": bob})
    at = f"/contacts/{made['id']}"
    status, changed, _ = await ask(here, "PATCH", at, {"name": "Robert", "trusted": True})
    assert (status, changed["label"], changed["trusted"]) == (200, "Robert", True)
    assert (await ask(here, "PATCH", at, {"trusted": None}))[1] == changed
    assert (await ask(here, "GET", at))[1] == changed
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await ask(here, method, at, body, user="bob"))[0] == 404
    status, cards, _ = await ask(here, "GET", "/cards")
    assert status == 200
    status, taken, _ = await ask(here, "POST", "/cards", {"cards": cards}, user="bob")
    assert (status, taken["leftOut"]) == (200, [])
    assert [(one["address"], one["trusted"]) for one in taken["contacts"]] == [(bob, False)]
    _, shared, _ = await ask(here, "POST", "/shares", {"path": "/trip", "shareWith": bob})
    assert (await ask(here, "DELETE", f"{at}?tell=perhaps"))[0] == 400
    assert (await ask(here, "DELETE", f"{at}?tell=true"))[0] == 200
    assert (await ask(here, "GET", f"/shares/{shared['id']}"))[1]["state"] == "revoked"
    assert (await ask(there, "GET", "/received", user="bob"))[1] == []


async def test_a_request_is_sent_and_agreed_to(opened):  # noqa: F811
    here, there = await opened(folder="here"), await opened(folder="there")
    await ask(here, "POST", "/contacts", {"address": f"bob@{there.ours.authority}"})
    wanted = {"owner": f"alice@{here.ours.authority}", "share": "/letter.txt"}
    status, sent, _ = await ask(there, "POST", "/sent-requests", wanted, user="bob")
    assert (status, sent["state"]) == (201, "sent")
    assert (await ask(there, "GET", "/sent-requests", user="bob"))[1] == [sent]
    status, [request], _ = await ask(here, "GET", "/requests")
    assert (request["path"], request["state"]) == ("/letter.txt", "open")
    at = f"/requests/{request['id']}"
    for path, body in ((f"{at}/agree", {}), (f"{at}/decline", None)):
        assert (await ask(here, "POST", path, body, user="bob"))[0] == 404
    assert (await ask(here, "POST", f"{at}/agree", {"permissions": ["fly"]}))[0] == 400
    terms = {"permissions": ["read", "write"], "expiration": here.clock() + 600}
    status, agreed, _ = await ask(here, "POST", f"{at}/agree", terms)
    assert (status, agreed["state"]) == (200, "agreed")
    _, made, _ = await ask(here, "GET", f"/shares/{agreed['share']}")
    assert (made["permissions"], made["expiration"]) == (["read", "write"], terms["expiration"])
    assert (await ask(here, "POST", f"{at}/decline"))[0] == 409
    assert (await ask(here, "GET", at))[1] == agreed


async def test_nobody_sees_or_ends_what_is_anothers(opened):  # noqa: F811
    here, there = await opened(folder="here"), await opened(folder="there")
    _, made, _ = await ask(
        here, "POST", "/shares", {"path": "/trip", "shareWith": f"bob@{there.ours.authority}"}
    )
    for method in ("GET", "DELETE"):
        status, answer, _ = await ask(here, method, f"/shares/{made['id']}", user="bob")
        assert (status, answer["code"]) == (404, "NOT_FOUND")
    _, [arrived], _ = await ask(there, "GET", "/received", user="bob")
    status, _, _ = await ask(there, "POST", f"/received/{arrived['id']}/accept", user="alice")
    assert status == 404
    assert (await ask(here, "GET", f"/shares/{made['id']}"))[1]["state"] == "sent"


@pytest.mark.parametrize("headers", [{}, {"Authorization": basic("alice")[:-4] + "xxx="}])
async def test_one_has_to_be_somebody(gateway, headers):  # noqa: F811
    status, answer, sent = await ask(gateway, "GET", "/shares", user=None, **headers)
    assert status == 401
    assert "Basic" in sent["WWW-Authenticate"]
    assert set(answer) >= {"message", "code", "request"}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"path": "/trip"},
        {"path": 1, "shareWith": "bob@there.example"},
        {"path": "/trip", "shareWith": "bob@there.example", "permissions": ["fly"]},
        {"path": "/trip", "shareWith": "bob@there.example", "permissions": []},
        {"path": "/trip", "shareWith": "bob@there.example", "more": 1},
        {"path": "/trip", "shareWith": "bob"},
        {"path": "/../x", "shareWith": "bob@there.example"},
    ],
)
async def test_one_defect_is_enough_and_nothing_is_shared(gateway, body):  # noqa: F811
    status, answer, _ = await ask(gateway, "POST", "/shares", body)
    assert status == 400
    assert answer["code"] == "MALFORMED"
    assert await gateway.sending.all() == []


async def test_a_cookie_counts_for_nothing(gateway):  # noqa: F811
    status, _, _ = await ask(gateway, "GET", "/shares", user=None, Cookie="session=x")
    assert status == 401


@pytest.mark.parametrize("who", ["password", "proxy"])
async def test_another_site_makes_no_browser_act(opened, who):  # noqa: F811
    proxied = {"users": {"source": "header"}, "public": {"trusted_proxies": ["127.0.0.1"]}}
    here = await opened(**(proxied if who == "proxy" else {}))
    sent = {"user": None, "X-Remote-User": "alice"} if who == "proxy" else {}
    _, made, _ = await ask(here, "POST", "/invites", {}, **sent)
    _, document, _ = await ask(here, "GET", "/openapi.json", **sent)
    acts = [
        (method.upper(), path.format(id=made["id"]))
        for path, methods in document["paths"].items()
        for method in methods
        if method != "get"
    ]
    assert ("DELETE", f"/invites/{made['id']}") in acts
    for method, path in acts:
        for elsewhere in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": here.ours.origin, "Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            status, answer, _ = await ask(here, method, path, **sent, **elsewhere)
            assert (status, answer["code"]) == (403, "NOT_ALLOWED"), (method, path, elsewhere)
    assert [one["state"] for one in (await ask(here, "GET", "/invites", **sent))[1]] == ["open"]
    ours = {"Origin": here.ours.origin, "Sec-Fetch-Site": "same-origin"}
    status, ended, _ = await ask(here, "DELETE", f"/invites/{made['id']}", **sent, **ours)
    assert (status, ended["state"]) == (200, "withdrawn")


async def test_other_methods_and_addresses_are_told(gateway):  # noqa: F811
    status, _, headers = await ask(gateway, "PUT", "/shares", {})
    assert (status, headers["Allow"]) == (405, "GET, POST")
    assert (await ask(gateway, "GET", "/nothing"))[0] == 404
    assert (await ask(gateway, "GET", "/shares?more=1"))[0] == 400


async def test_every_operation_is_described(gateway):  # noqa: F811
    status, document, _ = await ask(gateway, "GET", "/openapi.json", user=None)
    assert (status, document["openapi"]) == (200, "3.1.0")
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names)) > 15
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance"
)


def test_whatever_is_sent_is_answered_as_described(storage, tmp_path):  # noqa: F811
    on = {"sharing": {"public_links": True}}
    with running(tmp_path / "gateway", storage.url, **on) as process:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("st"),
                "run",
                f"{process.origin}/api/v1/openapi.json",
                *("--header", f"Authorization: {basic('alice')}"),
                *("--checks", CHECKS),
                *("--max-examples", "20", "--phases", "fuzzing", "--seed", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
        assert "Tested" in done.stdout
