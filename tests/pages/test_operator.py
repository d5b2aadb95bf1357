"""The operator's pages: why was this refused, what waits, who is who."""

import asyncio

import pytest

from gateway.errors import Refused
from gateway.model import SentState
from gateway.providers.registry import Standing
from gateway.sharing.sending import Offer
from tests.pages.conftest import DESKTOP, PHONE, olga, two_gateways
from tests.pages.test_quality import look_at


async def test_the_operator_finds_out_why_something_was_refused(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, south, _):
        bob = f"bob@{south.ours.authority}"
        await north.sending.create_share(Offer("alice", "/projects", bob))
        await north.others.registry.decide(south.ours.authority, Standing.BLOCKED, "they spam")
        with pytest.raises(Refused) as refusal:
            await north.sending.create_share(Offer("alice", "/notes.txt", bob))
        operator = await desk(north)
        origin = f"http://{north.settings.management.listen}"
        await look_at(operator, f"{origin}/servers/nobody.example")
        await operator.page.goto(origin + "/")
        assert "Refused lately" in await operator.text()
        await operator.page.goto(f"{origin}/decisions/{refusal.value.decision}")
        said = await operator.text()
        assert f"Why {south.ours.authority} was refused" in said
        assert "blocked" in said
        await operator.page.goto(f"{origin}/servers/{south.ours.authority}")
        assert "they spam" in await operator.text()


async def test_what_a_server_wrote_of_itself_stays_text(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, _, __):
        await north.others.registry.add("evil.example", "<script>document.title='taken'</script>")
        operator = await desk(north)
        await operator.page.goto(f"http://{north.settings.management.listen}/servers/evil.example")
        assert "<script>" in await operator.text()
        assert await operator.page.title() != "taken"


async def test_every_value_of_the_configuration_tells_where_it_is_from(tmp_path, desk):
    async with two_gateways(tmp_path) as (north, _, __):
        operator = await desk(north)
        page = f"http://{north.settings.management.listen}/configuration"
        await operator.page.goto(page)
        said = await operator.text()
        assert north.ours.origin in said
        assert str(north.settings.file) in said
        assert north.settings.storage.credentials.password not in said
        assert "lifetime_seconds" not in said
        await operator.page.goto(f"{page}?all")
        assert "lifetime_seconds" in await operator.text()


RULES = [
    {
        "id": "secrets",
        "who": "everyone",
        "action": "share-in",
        "path": "/secret.txt",
        "then": "deny",
    },
    {
        "id": "drafts",
        "who": "everyone",
        "action": "share-in",
        "path": "/draft.txt",
        "then": "quarantine",
    },
]
WAYS = {
    "desktop": {"viewport": DESKTOP},
    "phone-german": {"viewport": PHONE, "color_scheme": "dark", "locale": "de-DE"},
    "no-script": {"viewport": DESKTOP, "java_script_enabled": False},
}
GERMAN = {
    "Release it": "Herausgeben",
    "The share is released.": "Die Freigabe ist herausgegeben.",
    "held for review": "zurückgehalten",
    "The whole explanation": "Die ganze Erklärung",
    "Test now": "Jetzt prüfen",
    "is denied by": "ist abgelehnt durch",
    "signature": "Signatur",
}


@pytest.mark.timeout(200)
@pytest.mark.parametrize("way", WAYS)
async def test_the_operator_clears_up_what_went_wrong(tmp_path, desk, way):
    """Why was a share refused; a held one is released, a dead letter delivered after all."""
    said = GERMAN if "german" in way else {english: english for english in GERMAN}
    changes = {
        "policy": {"rules": RULES},
        "management": {"operators": [{"name": "olga", "password": "olga-password"}]},
    }
    async with two_gateways(tmp_path, **changes) as (north, south, files):
        alice, bob = f"alice@{north.ours.authority}", f"bob@{south.ours.authority}"
        (files[1].root / "bob").mkdir(exist_ok=True)
        for name in ("secret.txt", "draft.txt"):
            (files[1].root / "bob" / name).write_text("Dear Alice")
            await south.sending.create_share(Offer("bob", f"/{name}", alice))
        await south.others.registry.decide(north.ours.authority, Standing.BLOCKED)
        lost = await north.sending.create_share(Offer("alice", "/notes.txt", bob))
        assert lost.state is SentState.REFUSED
        await south.others.registry.decide(north.ours.authority, Standing.APPROVED)

        operator = await olga(desk, north, **WAYS[way])
        origin = f"http://{north.settings.management.listen}"
        await operator.page.goto(origin)
        await operator.follow(f"{south.ours.authority} {said['is denied by']} secrets")
        assert "secrets" in await operator.page.locator("dl").inner_text()

        await operator.page.goto(f"{origin}/review")
        await operator.follow("draft.txt")
        await operator.follow(said["The whole explanation"])
        assert said["held for review"] in await operator.text()
        await operator.page.go_back()
        await operator.press(said["Release it"])
        assert said["The share is released."] in await operator.text()
        [share] = await north.receiving.inbox("alice")
        assert share.name == "draft.txt"

        await operator.page.goto(f"{origin}/outbox")
        await operator.page.locator("main").get_by_role("button").first.dblclick()
        await operator.page.locator(".said").wait_for()
        while (await north.sending.by_id(lost.provider_id)).state is not SentState.SENT:
            await asyncio.sleep(0.1)
        await operator.page.goto(f"{origin}/audit?what=outbox.retried")
        assert await operator.page.locator("tbody tr").count() == 1

        await operator.page.goto(f"{origin}/servers/{south.ours.authority}")
        await operator.press(said["Test now"])
        await operator.page.get_by_text(said["signature"], exact=True).wait_for(timeout=60_000)
