"""A list is shown before it holds, and the one before comes back in one step."""

import asyncio
from functools import partial

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.errors import Conflict
from gateway.policy.language import BadPolicy
from gateway.store import audit
from tests import servers
from tests.pair import eventually, in_process
from tests.policy.test_live import denied


async def command(gateway, *words, code=0):
    words = ["policy", *words, "--config", str(gateway.settings.file)]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == code, done.output
    return done.output


async def test_a_list_is_shown_then_holds_and_is_rolled_back(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("server,then\nevil.example.org,deny\n*.good.example.org,allow\n")
    with servers.wsgidav(tmp_path) as storage:
        async with in_process(tmp_path / "a", storage) as gateway:
            shown = await command(gateway, "import", str(file), "--dry-run")
            assert "+ deny evil.example.org" in shown
            assert "There was never a list" in await command(gateway, "history")
            await command(gateway, "import", str(file))
            await eventually(lambda: denied(gateway, "evil.example.org"), 1)
            assert await command(gateway, "export", "--csv") == file.read_text().replace(
                "evil.example.org,deny\n*.good.example.org,allow\n",
                "*.good.example.org,allow\nevil.example.org,deny\n",
            )
            file.write_text("server,then\n*.org,deny\n")
            await command(gateway, "import", str(file), code=3)
            shown = await command(gateway, "import", str(file), "--dry-run", code=3)
            assert "! line 2: '*.org' is too wide" in shown
            file.write_text("server,then\nbad.example.org,deny\n")
            shown = await command(gateway, "import", str(file), "--dry-run")
            assert "- deny evil.example.org" in shown
            await command(gateway, "import", str(file))
            await eventually(lambda: not denied(gateway, "evil.example.org"), 1)
            await command(gateway, "import", str(file))  # holds already: not once more
            assert "3  " not in await command(gateway, "history")
            await command(gateway, "rollback")
            await eventually(lambda: denied(gateway, "evil.example.org"), 1)
            assert "rollback to 1" in await command(gateway, "history")


async def test_what_was_seen_is_what_holds_or_nothing(tmp_path, gateway):
    lists, by = gateway.lists, "operator olga"
    one, other = csv("a.example.org,deny"), csv("b.example.org,deny")
    seen = await lists.preview(one, "one.csv")
    assert (seen.before, seen.change.added) == (0, ("deny a.example.org",))
    with pytest.raises(Conflict):
        await lists.apply(other, "one.csv", by=by, seen=seen.seen)
    kept = await lists.apply(one, "one.csv", by=by, seen=seen.seen)
    assert kept.number == 1
    again = await lists.apply(one, "one.csv", by=by, seen=seen.seen)
    assert again == kept
    stale = await lists.preview(other, "other.csv")
    assert stale.change.removed == ("deny a.example.org",)
    await lists.apply(csv("c.example.org,deny"), "c.csv", by=by)
    with pytest.raises(Conflict):
        await lists.apply(other, "other.csv", by=by, seen=stale.seen)
    with pytest.raises(Conflict):
        await lists.roll_back(1, by=by, holding=1)
    assert [one.number for one in await lists.history()] == [2, 1]
    back = await lists.roll_back(1, by=by, holding=2)
    assert (back.number, back.document) == (3, kept.document)
    assert await lists.roll_back(1, by=by, holding=2) == back
    entries = await deeds(gateway, "list.changed")
    assert [(one.about, one.who) for one in entries] == [(number, by) for number in "123"]


async def test_two_at_once_make_one_list(tmp_path, gateway):
    text = csv("a.example.org,deny")
    seen = (await gateway.lists.preview(text, "a.csv")).seen
    done = await asyncio.gather(
        *(gateway.lists.apply(text, "a.csv", by="operator olga", seen=seen) for _ in range(5))
    )
    assert {one.number for one in done} == {1}
    assert len(await deeds(gateway, "list.changed")) == 1


async def test_each_line_that_is_refused_says_why(tmp_path, gateway):
    text = csv(
        "good.example.org,allow",
        "*.org,deny",
        "bad.example.org,perhaps",
        "a b,deny",
        ",deny",
        "x.example.org,deny,more",
        '"q.example.org\n",allow',
    )
    found = await gateway.lists.preview(text, "list.csv")
    assert found.seen == ""
    assert found.change.added == ("allow good.example.org", "allow q.example.org")
    assert [(one.where, one.text) for one in found.refused] == [
        ("line 3", "*.org,deny"),
        ("line 4", "bad.example.org,perhaps"),
        ("line 5", "a b,deny"),
        ("line 6", "deny"),
        ("line 7", "x.example.org,deny"),
    ]
    assert all(one.reason for one in found.refused)
    with pytest.raises(BadPolicy) as error:
        await gateway.lists.apply(text, "list.csv", by="operator olga")
    assert len(error.value.faults) == 5
    json = '{"deny": ["*.org"], "rules": [{"who": "@nobody", "then": "deny"}]}'
    found = await gateway.lists.preview(json, "list.json")
    assert [(one.where, one.text) for one in found.refused] == [("deny", "*.org")]
    found = await gateway.lists.preview(json.replace("*.org", "a.org"), "list.json")
    assert [one.reason for one in found.refused] == ["list.rules.0.who: there is no set @nobody"]
    assert await gateway.lists.history() == []


@pytest.fixture
async def gateway(tmp_path):
    with servers.wsgidav(tmp_path) as storage:
        async with in_process(tmp_path / "a", storage) as gateway:
            yield gateway


def csv(*lines):
    return "\n".join(("server,then", *lines)) + "\n"


async def deeds(gateway, what):
    read = partial(audit.entries, wanted=audit.Wanted(what=what), most=100)
    return [one.deed for one in await gateway.state.database.read(read)]
