"""What people use: rclone, curl, cadaver and davfs2 carry odd names and every byte, both ways."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import servers
from tests.interop.doors import DOORS, Shared, run, shared
from tests.interop.names import content, escaped, files, odd_names, plant
from tests.servers import require

SWIFT = ("--transfers", "8", "--checkers", "8", "--retries", "1", "--low-level-retries", "1")


@pytest.fixture
async def share(tmp_path) -> AsyncIterator[Shared]:
    with servers.apache(tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            yield share


def at_door(share: Shared, door: str) -> tuple[str, str, str]:
    """The address of a door, and the name and password that open it."""
    if door == "share":
        return share.url, share.secret, "none"
    return share.received, share.user, share.password


async def rclone(folder: Path, url: str, login: dict[str, str], *words: str) -> str:
    """rclone with a remote called `door:`; it must succeed."""
    remote = {"TYPE": "webdav", "VENDOR": "other", "URL": url} | login
    environment = {f"RCLONE_CONFIG_DOOR_{name}": value for name, value in remote.items()}
    program = require("rclone")
    done = await run(program, "--config", "/dev/null", *SWIFT, *words, cwd=folder, **environment)
    assert done.code == 0, done.output[-3000:]
    return done.output


async def there_and_back(folder: Path, share: Shared, url: str, login: dict[str, str]) -> None:
    """The tree `folder`/source goes up, into a folder called as `folder` is, and comes down again.

    Name by name and byte by byte.
    """
    source, back, there = folder / "source", folder / "back", f"door:{folder.name}"
    await rclone(folder, url, login, "copy", str(source), there)
    assert files(share.folder / folder.name) == files(source)
    await asyncio.gather(
        rclone(folder, url, login, "check", "--download", str(source), there),
        rclone(folder, url, login, "copy", there, str(back)),
    )
    assert files(back) == files(source)


@pytest.mark.slow
async def test_rclone_carries_a_thousand_odd_names_with_a_token(tmp_path, share):
    names, login = odd_names(1000), {"BEARER_TOKEN": share.token}
    assert len(names) == 1000
    # rclone rests between two requests, so that eight of them are quicker than one.
    async with asyncio.TaskGroup() as group:
        for part in range(8):
            folder = tmp_path / f"part {part}"
            plant(folder / "source", names[part::8])
            group.create_task(there_and_back(folder, share, share.url, login))


async def test_rclone_carries_odd_names_through_both_gateways(tmp_path, share):
    # What another server offers with a backslash is not shown: to some clients that is a path.
    folder = tmp_path / "ours"
    plant(folder / "source", [name for name in odd_names(120) if "\\" not in name][:100])
    hidden = await run(require("rclone"), "obscure", share.password, cwd=tmp_path)
    login = {"USER": share.user, "PASS": hidden.output.strip()}
    await there_and_back(folder, share, share.received, login)


async def test_rclone_moves_and_deletes_odd_names(tmp_path, share):
    source = tmp_path / "source"
    plant(source, odd_names(50))
    login = {"BEARER_TOKEN": share.token}
    await rclone(tmp_path, share.url, login, "copy", str(source), "door:one")
    await rclone(tmp_path, share.url, login, "moveto", "door:one", "door:other %2F #")
    assert files(share.folder / "other %2F #") == files(source)
    listed = await rclone(tmp_path, share.url, login, "lsjson", "-R", "--files-only", "door:")
    listed = listed[listed.index("[") :]
    assert {entry["Name"] for entry in json.loads(listed)} == set(odd_names(50))
    await rclone(tmp_path, share.url, login, "purge", "door:other %2F #")
    assert list(share.folder.iterdir()) == []


@pytest.mark.parametrize("door", DOORS)
async def test_curl_carries_odd_names(tmp_path, share, door):
    names = [name for name in odd_names(120) if door == "share" or "\\" not in name]
    source = tmp_path / "source"
    source.mkdir()
    url, *login = at_door(share, door)
    for at, name in enumerate(names):
        (source / str(at)).write_bytes(content(name))
    up = [(source / str(at), "upload-file", name) for at, name in enumerate(names)]
    down = [(tmp_path / f"back-{at}", "output", name) for at, name in enumerate(names)]
    for transfers in (up, down):
        config = tmp_path / "curl.conf"
        config.write_text(
            "\nnext\n".join(_transfer(url, ":".join(login), *one) for one in transfers)
        )
        done = await run(require("curl"), "-sS", "-K", str(config), cwd=tmp_path)
        assert (done.code, done.output) == (0, "")
    for at, name in enumerate(names):
        assert (share.folder / name).read_bytes() == content(name), ascii(name)
        assert (tmp_path / f"back-{at}").read_bytes() == content(name), ascii(name)


def _transfer(url: str, user: str, file: Path, option: str, name: str) -> str:
    lines = (f'url = "{url}/{escaped(name)}"', f'{option} = "{file}"', f'user = "{user}"', "fail")
    return "\n".join((*lines, "path-as-is"))


async def test_cadaver_puts_locks_moves_and_gets(tmp_path, share):
    program = require("cadaver")
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {share.secret} password none\n")
    (tmp_path / "a b").write_text("carried")
    script = """
        mkcol "new %41 folder"
        put "a b" "new %41 folder/a b"
        cd "new %41 folder"
        lock "a b"
        discover "a b"
        put "../a b" "a b"
        unlock "a b"
        propset "a b" colour red
        propget "a b" colour
        copy "a b" "#1 & copy"
        move "a b" "100% + 1;"
        ls
        get "100% + 1;" back
        delete "#1 & copy"
        quit
    """
    script = "\n".join(line.strip() for line in script.splitlines())
    done = await run(program, f"{share.url}/", cwd=tmp_path, stdin=script)
    assert "failed" not in done.output, done.output
    assert "Value of colour is: red" in done.output
    assert (tmp_path / "back").read_text() == "carried"
    assert {file.name for file in (share.folder / "new %41 folder").glob("[!.]*")} == {"100% + 1;"}


@contextlib.asynccontextmanager
async def mounted(folder: Path, url: str, user: str, password: str) -> AsyncIterator[Path]:
    """davfs2's mount of `url`; the test is skipped where the kernel does not allow it."""
    program, end = require("mount.davfs"), require("umount.davfs")
    # davfs2 works as a user of its own, who may not look into the test's folder.
    with tempfile.TemporaryDirectory() as place:
        mount, cache, config = Path(place) / "mount", Path(place) / "cache", folder / "davfs2.conf"
        for needed in (Path(place), mount, cache):
            needed.mkdir(exist_ok=True)
            needed.chmod(0o777)
        config.write_text(f"cache_dir {cache}\ndelay_upload 0\n")
        login, options = f"{user}\n{password}\n", f"conf={config},uid={os.getuid()}"
        done = await run(program, "-o", options, f"{url}/", str(mount), cwd=folder, stdin=login)
        if done.code != 0:
            pytest.skip(f"davfs2 may not mount here: {done.output[-200:]}")
        try:
            yield mount
        finally:
            await run(end, str(mount), cwd=folder)


DAILY_WORK = """
import errno, json, os, pathlib, shutil, sys

mount = pathlib.Path(sys.argv[1])
names = json.loads(pathlib.Path(sys.argv[2]).read_text())
assert (mount / "there/odd % # name").read_bytes() == b"seen"
(mount / "new").mkdir()
for name in names:
    (mount / name).write_bytes(name.encode() * 100)
    os.rename(mount / name, mount / "new" / name)
for name in names:
    assert (mount / "new" / name).read_bytes() == name.encode() * 100, ascii(name)
os.remove(mount / "there/odd % # name")
os.rmdir(mount / "there")
try:
    found = set(os.listdir(mount / "new"))
except OSError as error:
    assert error.errno == errno.EINVAL  # the FUSE of some sandboxes cannot list any folder
else:
    assert found == set(names)
"""


@pytest.mark.parametrize("door", DOORS)
async def test_davfs2_reads_writes_renames_and_deletes(tmp_path, share, door):
    (share.folder / "there").mkdir()
    (share.folder / "there/odd % # name").write_bytes(b"seen")
    # davfs2 has a file for each in its cache, whose name is longer.
    names = [name for name in odd_names(60) if "\\" not in name and len(name.encode()) < 200]
    (tmp_path / "names.json").write_text(json.dumps(names))
    async with mounted(tmp_path, *at_door(share, door)) as mount:
        done = await run(sys.executable, "-c", DAILY_WORK, str(mount), "names.json", cwd=tmp_path)
        assert done.code == 0, done.output
    for name in names:
        assert (share.folder / "new" / name).read_bytes() == name.encode() * 100, ascii(name)
    assert not (share.folder / "there").exists()
