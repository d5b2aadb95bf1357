"""The operator's pages: why was this refused, what waits, who is who."""

import pytest

from gateway.errors import Refused
from gateway.providers.registry import Standing
from gateway.sharing.sending import Offer
from tests.pages.conftest import two_gateways
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
