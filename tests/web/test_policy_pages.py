"""The operator's pages and API about policy: each act by whom, once, and bound to what was seen."""

import asyncio
import json
import re
from html import unescape
from io import BytesIO

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from gateway.policy.facts import Action, Facts
from tests.pair import in_process
from tests.policy.test_lists import deeds
from tests.servers import wsgidav
from tests.web.test_operators import OPERATORS, ask, basic

RULES = {
    "default": "deny",
    "deny": ["evil.example.org"],
    "rules": [
        {
            "id": "partners",
            "who": "*.example.org",
            "action": "share-in",
            "user": "alice",
            "then": "allow",
            "comment": "since <May>",
            "public_comment": "ask us",
        },
        {"id": "idle", "who": "evil.example.org", "then": "allow"},
    ],
}
CSV = "server,then\nbad.example.org,deny\n"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        yield storage


@pytest.fixture
async def gateway(tmp_path, storage):
    (tmp_path / "shadow.yaml").write_text("default: deny")
    policy = RULES | {"shadow": str(tmp_path / "shadow.yaml")}
    async with in_process(tmp_path / "a", storage, management=OPERATORS, policy=policy) as gateway:
        yield gateway


def fields(text, action):
    """The hidden fields of the form that leads there."""
    [form] = re.findall(rf'<form method="post" action="{action}".*?</form>', text, re.DOTALL)
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found}


async def preview(gateway, text, **more):
    _, _, shown = await ask(gateway, "GET", "/policy/list", "olga")
    data = aiohttp.FormData()
    data.add_field("csrf", fields(shown, "/policy/preview")["csrf"])
    data.add_field("file", BytesIO(text.encode()), filename="list.csv", content_type="text/csv")
    for name, value in more.items():
        data.add_field(name, value)
    return await ask(gateway, "POST", "/policy/preview", "olga", data=data)


async def test_rules_stand_in_the_order_they_win_with_what_they_decided(gateway):
    decide = gateway.others.doorkeeper.decide
    for server in ("a.example.org", "a.example.org", "evil.example.org", "other.example"):
        decide(Facts(Action.SHARE_IN, server, user="alice", settled=True))
    status, _, text = await ask(gateway, "GET", "/policy")
    assert status == 200
    assert re.findall(r'id="rule-([\w.]+)"', text) == ["deny", "idle", "partners"]
    assert "since &lt;May&gt;" in text
    assert "ask us" in text
    assert "contradictory: deny denies" in text or "shadowed: deny denies" in text
    _, _, told = await ask(gateway, "GET", "/api/v1/policy")
    found = json.loads(told)
    assert {one["id"]: one["decided"] for one in found["rules"]} == {
        "deny": 1,
        "idle": 0,
        "partners": 2,
    }
    assert found["decidedByDefault"]["decided"] == 1
    assert found["decisions"]["kept"] == 4
    _, _, told = await ask(gateway, "GET", "/api/v1/policy/shadow")
    [change] = json.loads(told)["changes"]
    assert change == {"outcome": "allow", "shadow": "deny by default", "times": 2}
    assert re.search(r">deny</span> <code>default</code></td><td[^>]*>2</td>", text)


async def test_a_try_says_why_and_leaves_no_trace(gateway):
    query = "/policy/test?action=share-in&server=a.example.org"
    _, _, text = await ask(gateway, "GET", f"{query}&user=alice&signed=rfc9421&invited=yes")
    assert "a.example.org is allowed by partners" in text
    _, _, text = await ask(gateway, "GET", f"{query}&user=bob")
    assert "partners: user" in text
    status, _, text = await ask(gateway, "GET", "/policy/test?action=fly&server=a.example.org")
    assert (status, "the facts are wrong" in text.lower()) == (400, True)
    status, _, text = await ask(gateway, "GET", "/policy/test?action=share-in&server=<b>")
    assert (status, "<b>" in text) == (400, False)
    given = {"facts": {"action": "share-in", "server": "a.example.org", "user": "alice"}}
    status, _, told = await ask(gateway, "POST", "/api/v1/policy/what-if", "olga", json=given)
    assert (status, json.loads(told)["rule"]) == (200, "partners")
    case = given["facts"] | {"expect": "deny"}
    _, _, told = await ask(gateway, "POST", "/api/v1/policy/test", "olga", json={"cases": [case]})
    assert json.loads(told)["failed"] == 1
    assert await gateway.ledger.latest() == []
    assert await deeds(gateway, "list.changed") == []


async def test_a_list_is_seen_holds_once_and_goes_back(gateway):
    _, _, text = await preview(gateway, CSV, note="spam")
    assert "deny bad.example.org" in text
    assert await gateway.lists.history() == []
    form = fields(text, "/policy/list")
    done = await asyncio.gather(
        *(ask(gateway, "POST", "/policy/list", "olga", data=form) for _ in range(3))
    )
    assert {(status, headers["Location"]) for status, headers, _ in done} == {
        (303, "/policy/list?done=1")
    }
    _, _, text = await ask(gateway, "GET", "/policy/list?done=1", "olga")
    assert "List 1 holds now." in text
    [deed] = await deeds(gateway, "list.changed")
    assert (deed.who, deed.reason, deed.about) == ("operator olga", "spam", "1")
    _, _, text = await ask(gateway, "GET", "/policy/list/0", "olga")
    form = fields(text, "/policy/rollback")
    for _ in range(2):
        status, headers, _ = await ask(gateway, "POST", "/policy/rollback", "olga", data=form)
        assert (status, headers["Location"]) == (303, "/policy/list?done=2")
    assert len(await deeds(gateway, "list.changed")) == 2


async def test_what_changed_in_between_is_refused(gateway):
    _, _, text = await preview(gateway, CSV)
    seen = fields(text, "/policy/list")
    await gateway.lists.apply(CSV.replace("bad", "worse"), "x.csv", by="operator other")
    status, _, text = await ask(gateway, "POST", "/policy/list", "olga", data=seen)
    assert (status, "Another list holds by now" in text) == (409, True)
    changed = seen | {"document": '{"deny":["all.example.org"]}'}
    assert (await ask(gateway, "POST", "/policy/list", "olga", data=changed))[0] == 409
    assert len(await gateway.lists.history()) == 1
    _, _, text = await ask(gateway, "GET", "/policy/list/0", "olga")
    form = fields(text, "/policy/rollback")
    await gateway.lists.apply(CSV, "x.csv", by="operator other")
    assert (await ask(gateway, "POST", "/policy/rollback", "olga", data=form))[0] == 409
    assert len(await gateway.lists.history()) == 2


async def test_refused_lines_say_why_and_nothing_of_the_file_can_hold(gateway):
    status, _, text = await preview(gateway, CSV + "*.org,deny\n<i>,deny\n")
    assert status == 200
    assert "line 3" in text
    assert "&lt;i&gt;,deny" in text
    assert 'action="/policy/list"' not in text
    status, _, text = await preview(gateway, "what,ever\n")
    assert (status, "server,then" in text) == (400, True)


@pytest.mark.parametrize(
    "spoil",
    [
        {"user": ""},
        {"password": "wrong"},
        {"data": {"csrf": "x"}},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"Origin": "null"}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
    ],
    ids=str,
)
async def test_nobody_else_acts(gateway, spoil):
    _, _, text = await preview(gateway, CSV)
    form = fields(text, "/policy/list") | spoil.get("data", {})
    headers = spoil.get("headers", {})
    if spoil.get("user", "olga"):
        headers = headers | {"Authorization": basic("olga", spoil.get("password", "olga-password"))}
    status, _, _ = await ask(gateway, "POST", "/policy/list", headers=headers, data=form)
    assert status in (401, 403)
    body = {"format": "csv", "text": CSV, "seen": form["seen"]}
    if "data" not in spoil:  # scripts have no such token
        status, _, told = await ask(
            gateway, "POST", "/api/v1/policy/list", headers=headers, json=body
        )
        assert status in (401, 403)
        assert json.loads(told)["code"] in ("UNAUTHORIZED", "NOT_ALLOWED")
    assert await gateway.lists.history() == []


async def test_where_nobody_is_named_nobody_acts(tmp_path, storage):
    async with in_process(tmp_path / "a", storage) as gateway:
        for path in ("/policy/preview", "/policy/list", "/policy/rollback"):
            assert (await ask(gateway, "POST", path, "olga", data={"csrf": ""}))[0] == 403
        body = {"number": 0, "holding": 0}
        status, _, _ = await ask(gateway, "POST", "/api/v1/policy/rollback", "olga", json=body)
        assert status == 403
        _, _, text = await ask(gateway, "GET", "/policy/list")
        assert "management.operators" in text
        assert '<form method="post"' not in text


async def test_scripts_do_the_same(gateway):
    async def post(path, status=200, **body):
        got, _, told = await ask(gateway, "POST", f"/api/v1/policy/{path}", "olga", json=body)
        assert got == status, told
        return json.loads(told)

    new = {"format": "csv", "text": CSV}
    seen = await post("preview", **new)
    assert (seen["added"], seen["removed"], seen["unchanged"]) == (["deny bad.example.org"], [], 0)
    kept = await post("list", **new, seen=seen["seen"], note="why")
    assert (kept["number"], kept["madeBy"], kept["note"]) == (1, "operator olga", "why")
    await post("list", 409, format="csv", text=CSV + "x.example.org,deny\n", seen=seen["seen"])
    bad = await post("list", 400, format="csv", text="server,then\n*.org,deny\n", seen="x")
    assert bad["code"] == "BAD_POLICY"
    await post("list", 400, **new)
    back = await post("rollback", number=0, holding=1)
    assert back["number"] == 2
    await post("rollback", 409, number=1, holding=1)
    await post("rollback", 404, number=9, holding=2)
    _, _, told = await ask(gateway, "GET", "/api/v1/policy/lists")
    assert [one["number"] for one in json.loads(told)] == [2, 1]
    _, _, told = await ask(gateway, "GET", "/api/v1/policy/list")
    assert json.loads(told)["document"] == {}
    status, headers, _ = await ask(gateway, "DELETE", "/api/v1/policy/list", "olga")
    assert (status, headers["Allow"]) == (405, "GET, POST")
    _, _, told = await ask(gateway, "GET", "/api/v1/openapi.json")
    document = json.loads(told)
    for path in ("/policy", "/policy/preview", "/policy/rollback", "/policy/what-if"):
        assert path in document["paths"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_a_form_that_is_too_large_is_refused(gateway):
    status, _, _ = await preview(gateway, "server,then\n" + "x" * (11 << 20))
    assert status == 413
    status, _, _ = await ask(
        gateway,
        "POST",
        "/policy/preview",
        headers={
            "Authorization": basic("olga", "olga-password"),
            "Content-Type": "multipart/form-data",
        },
        data=b"--x",
    )
    assert status == 400
