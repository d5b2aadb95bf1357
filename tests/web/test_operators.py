"""Who may act on the management listener: looking is open, acting needs a name and a password."""

import asyncio

import aiohttp
import pytest

from gateway.sharing.credentials import basic
from tests.pair import in_process
from tests.servers import wsgidav

OPERATORS = {"operators": [{"name": "olga", "password": "olga-password"}]}


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        yield storage


async def ask(gateway, method, path, user="", password=None, **options):
    """The status, head and text of an answer; redirects are not followed."""
    if user:
        options["headers"] = {"Authorization": basic(user, password or f"{user}-password")}
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            f"http://{gateway.settings.management.listen}{path}",
            allow_redirects=False,
            **options,
        ) as reply,
    ):
        return reply.status, reply.headers, await reply.text()


async def test_whoever_looks_need_not_say_who_and_a_wrong_password_is_entered(tmp_path, storage):
    async with in_process(tmp_path / "a", storage, management=OPERATORS) as gateway:
        status, _, text = await ask(gateway, "GET", "/")
        assert status == 200
        assert "/login?next=/" in text
        status, headers, _ = await ask(gateway, "GET", "/login")
        assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
        for user, password in (("olga", "geheim"), ("nobody", "olga-password"), ("olga", "é:")):
            status, headers, text = await ask(gateway, "GET", "/", user, password)
            assert (status, "WWW-Authenticate" in headers) == (401, True)
            assert password not in text
        status, headers, _ = await ask(gateway, "GET", "/login?next=/audit", "olga")
        assert (status, headers["Location"]) == (303, "/audit")
        status, headers, _ = await ask(gateway, "GET", "/login?next=//evil.example", "olga")
        assert (status, headers["Location"]) == (303, "/")
        await asyncio.sleep(0.6)  # what is noted is written within half a second
        _, _, text = await ask(gateway, "GET", "/audit", "olga")
        assert "operator nobody" in text
        assert ">olga<" in text


async def test_credentials_that_are_no_text_are_wrong_and_no_fault(tmp_path, storage):
    async with in_process(tmp_path / "a", storage, management=OPERATORS) as gateway:
        for given in ("Basic é", "Basic /w==", "Basic", "Bearer x"):
            status, _, _ = await ask(gateway, "GET", "/", headers={"Authorization": given})
            assert status == 401, given
        headers = {"Authorization": "Basic é"}
        async with aiohttp.ClientSession() as session:
            url = f"{gateway.ours.origin}/api/v1/shares"
            async with session.get(url, headers=headers) as reply:
                assert reply.status == 401


async def test_who_guesses_is_slowed_down(tmp_path, storage):
    testing = {"rate_limits": True}
    limits = {"failed_logins_per_minute": 3}
    async with in_process(
        tmp_path / "a", storage, management=OPERATORS, testing=testing, limits=limits
    ) as gateway:
        found = [(await ask(gateway, "GET", "/", "olga", "wrong"))[0] for _ in range(4)]
        assert found == [401, 401, 401, 429]


async def test_pages_speak_german(tmp_path, storage):
    async with in_process(tmp_path / "a", storage, management=OPERATORS) as gateway:
        _, _, text = await ask(gateway, "GET", "/", headers={"Accept-Language": "de"})
        assert '<html lang="de">' in text
        assert "Zum Inhalt springen" in text


async def test_another_password_holds_without_a_restart(tmp_path, storage):
    file = tmp_path / "olga.txt"
    file.write_text("first\n")
    operators = {"operators": [{"name": "olga", "password_file": str(file)}]}
    async with in_process(tmp_path / "a", storage, management=operators) as gateway:
        assert (await ask(gateway, "GET", "/login", "olga", "first"))[0] == 303
        file.write_text("second\n")
        assert (await ask(gateway, "GET", "/login", "olga", "first"))[0] == 401
        assert (await ask(gateway, "GET", "/login", "olga", "second"))[0] == 303
        for text in ("", "\n"):
            file.write_text(text)
            assert (await ask(gateway, "GET", "/login", "olga", "\n"))[0] == 401
        file.unlink()
        assert (await ask(gateway, "GET", "/login", "olga", "second"))[0] == 401
