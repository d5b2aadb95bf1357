"""A list is shown before it holds, and the one before comes back in one step."""

import asyncio

from typer.testing import CliRunner

from gateway.cli.main import app
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
            shown = await command(gateway, "import", str(file))
            assert "+ deny evil.example.org" in shown
            assert "There was never a list" in await command(gateway, "history")
            await command(gateway, "import", str(file), "--apply")
            await eventually(lambda: denied(gateway, "evil.example.org"), 1)
            assert await command(gateway, "export", "--csv") == file.read_text().replace(
                "evil.example.org,deny\n*.good.example.org,allow\n",
                "*.good.example.org,allow\nevil.example.org,deny\n",
            )
            file.write_text("server,then\n*.org,deny\n")
            await command(gateway, "import", str(file), "--apply", code=3)
            file.write_text("server,then\nbad.example.org,deny\n")
            assert "- deny evil.example.org" in await command(gateway, "import", str(file))
            await command(gateway, "import", str(file), "--apply")
            await eventually(lambda: not denied(gateway, "evil.example.org"), 1)
            await command(gateway, "rollback")
            await eventually(lambda: denied(gateway, "evil.example.org"), 1)
            assert "rollback to 1" in await command(gateway, "history")
