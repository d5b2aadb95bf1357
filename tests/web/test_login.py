"""Logging in to the pages, and the sessions behind it."""

import re

import pytest
from sqlalchemy import select

from gateway.store.tables import sessions
from gateway.web.login import own_path
from tests.sharing.stage import Clock
from tests.web.browser import browser


@pytest.fixture
async def visitor(gateway):
    async with browser(gateway) as opened:
        yield opened


async def rows(gateway):
    return await gateway.state.database.read(lambda c: list(c.execute(select(sessions))))


async def test_a_user_of_the_storage_logs_in_and_out(gateway, visitor):
    shown = await visitor.get("/sessions")
    assert shown.url.endswith("/login?next=/sessions")
    shown = await visitor.login(next="/sessions")
    assert shown.status == 200
    assert shown.url.endswith("/sessions")
    assert "Where you are logged in" in shown.text
    shown = await visitor.submit("/sessions", "/logout")
    assert "You are logged out." in shown.text
    assert await rows(gateway) == []
    assert (await visitor.get("/sessions")).url.endswith("/login?next=/sessions")


async def test_a_wrong_password_and_an_unknown_user_look_the_same(gateway, visitor):
    wrong = await visitor.login("alice", "wrong")
    unknown = await visitor.login("nobody", "wrong")
    assert wrong.status == unknown.status == 401
    assert "Name or password is wrong." in wrong.text
    assert wrong.text.replace("alice", "nobody") == unknown.text
    assert await rows(gateway) == []


async def test_the_token_changes_at_log_in_and_is_kept_as_a_hash(gateway, visitor):
    await visitor.get("/login")
    [before] = visitor.cookies.values()
    await visitor.login()
    after = visitor.cookies[before.key]
    assert after.value != before.value
    [row] = await rows(gateway)
    assert after.value not in str(row)
    assert row.user == "alice"


async def test_the_cookie_is_for_http_alone_and_stays_with_this_site(gateway, visitor):
    shown = await visitor.get("/login")
    cookie = shown.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


async def test_a_planted_token_is_worth_nothing_after_the_log_in(gateway, visitor):
    await visitor.get("/login")
    [planted] = visitor.cookies.values()
    await visitor.login()
    async with browser(gateway) as attacker:
        attacker.session.cookie_jar.update_cookies({planted.key: planted.value})
        attacker.headers["Cookie"] = f"{planted.key}={planted.value}"
        assert "/login" in (await attacker.get("/sessions")).url


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {"csrf": "0" * 64}),
        ({}, {"csrf": ""}),
        ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Sec-Fetch-Site": "cross-site"}, {}),
    ],
    ids=str,
)
async def test_a_form_from_elsewhere_is_refused(gateway, visitor, headers, fields):
    shown = await visitor.get("/login")
    data = shown.fields("/login") | {"name": "alice", "password": "alice-password"} | fields
    answer = await visitor.send("POST", "/login", data=data, headers=headers)
    assert answer.status == 403
    assert "That is not allowed" in answer.text
    assert await rows(gateway) == []


async def test_a_session_ends_when_it_is_idle_and_when_it_is_old(opened):
    clock = Clock()
    gateway = await opened(clock=clock, login={"idle_minutes": 10, "lifetime_hours": 1})
    async with browser(gateway) as visitor:
        await visitor.login()
        for _ in range(6):
            clock.now += 9 * 60
            assert (await visitor.get("/sessions")).url.endswith("/sessions")
        clock.now += 7 * 60
        assert "/login" in (await visitor.get("/sessions")).url
        await visitor.login()
        clock.now += 10 * 60
        assert "/login" in (await visitor.get("/sessions")).url


async def test_log_out_everywhere_ends_every_session_of_one_user(gateway, visitor):
    await visitor.login()
    async with browser(gateway) as second, browser(gateway) as other:
        await second.login()
        await other.login("bob")
        await visitor.submit("/sessions", "/logout", everywhere="1")
        assert "/login" in (await second.get("/sessions")).url
        assert (await other.get("/sessions")).url.endswith("/sessions")


async def test_one_ends_ones_own_sessions_only(gateway, visitor):
    await visitor.login()
    async with browser(gateway) as other:
        await other.login("bob")
        theirs = next(row.id for row in await rows(gateway) if row.user == "bob")
        shown = await visitor.get("/sessions")
        await visitor.send("POST", "/sessions", data=shown.fields("/logout") | {"session": theirs})
        assert (await other.get("/sessions")).url.endswith("/sessions")


async def test_guessing_is_slowed_down(opened):
    gateway = await opened(testing={"rate_limits": True}, limits={"failed_logins_per_minute": 3})
    async with browser(gateway) as visitor:
        for _ in range(3):
            assert (await visitor.login("alice", "wrong")).status == 401
        shown = await visitor.login()
        assert shown.status == 429
        assert 1 <= int(shown.headers["Retry-After"]) <= 20


async def test_whom_the_proxy_names_is_logged_in(opened, storage):
    gateway = await opened(users={"source": "header"}, public={"trusted_proxies": ["127.0.0.1"]})
    async with browser(gateway, **{"X-Remote-User": "alice"}) as visitor:
        shown = await visitor.get("/sessions")
        assert shown.status == 200
        assert "alice" in shown.text
    async with browser(gateway) as visitor:
        shown = await visitor.get("/login")
        assert "did not name you" in shown.text
        assert 'type="password"' not in shown.text


async def test_a_name_from_the_street_is_not_believed(opened):
    gateway = await opened(users={"source": "header"}, public={"trusted_proxies": ["10.9.8.7"]})
    async with browser(gateway, **{"X-Remote-User": "alice"}) as visitor:
        assert "/login" in (await visitor.get("/sessions")).url


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/" + "x" * 3000,
        "",
    ],
)
def test_one_is_sent_on_to_this_server_only(path):
    assert own_path(path) == "/"


def test_where_one_came_from_is_kept_with_its_query():
    assert own_path("/wayf?token=a%2Fb&x=1") == "/wayf?token=a%2Fb&x=1"


async def test_a_page_runs_our_own_scripts_alone_and_asks_nobody_else(visitor):
    shown = await visitor.get("/login")
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert shown.headers["Referrer-Policy"] == "same-origin"
    assert "style=" not in shown.text
    assert "script-src 'self'" in policy
    scripts = re.findall(r"<script(.*?)>(.*?)</script>", shown.text, re.DOTALL)
    assert [kind.split()[0] for kind, _ in scripts] == ['type="module"'] * len(scripts)
    assert all('src="/static/' in kind and not inside for kind, inside in scripts)
    assert shown.text.count("<script") == len(scripts)


async def test_the_style_sheet_may_be_kept_for_ever(visitor):
    shown = await visitor.get("/")
    [address] = [
        word.split('"')[0] for word in shown.text.split('href="') if "/static/" in word[:9]
    ]
    sheet = await visitor.get(address)
    assert sheet.status == 200
    assert "immutable" in sheet.headers["Cache-Control"]
    again = await visitor.get(address, headers={"If-None-Match": sheet.headers["ETag"]})
    assert again.status == 304
    assert (await visitor.get("/static/style.css")).status == 404


@pytest.mark.parametrize("body", [b"\xff", b"a=%FF", b"&".join([b"a=b"] * 501)], ids=len)
async def test_what_is_no_form_is_refused(visitor, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await visitor.send("POST", "/login", data=body, headers=headers)).status == 400


async def test_in_front_of_a_storage_the_pages_keep_out_of_its_way(opened):
    gateway = await opened(storage={"pass_through": True})
    async with browser(gateway) as visitor:
        shown = await visitor.get("/gateway/login")
        assert 'action="/gateway/login"' in shown.text
        assert "Path=/gateway" in shown.headers["Set-Cookie"]
        shown = await visitor.submit(
            "/gateway/login", "/gateway/login", name="alice", password="alice-password"
        )
        assert shown.url.endswith("/gateway/")
        assert "alice@" in shown.text
