"""Storages that say little, or the wrong thing, where a folder is missing, a condition does not
hold or a lock is somebody else's: the client hears what the RFC has for it, nothing is lost."""

import asyncio
import base64
import os
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gateway.dav import uploads
from gateway.dav.target import Profile
from gateway.errors import BackendFailed, NotFound, WrongMethod
from tests import servers

HERE = "https://gw.example/remote/dav/ocm/share-1"
OWNED = (
    b'<d:lockinfo xmlns:d="DAV:"><d:lockscope><d:exclusive/></d:lockscope><d:locktype><d:write/>'
    b"</d:locktype><d:owner>by <d:href>http://me/?a&amp;b</d:href></d:owner></d:lockinfo>"
)


@pytest.fixture(params=servers.MORE_STORAGES)
def each(request, tmp_path, client_to):
    """A client of each storage, and the folder that it sees."""
    with servers.MORE_STORAGES[request.param](tmp_path) as storage:
        yield client_of(storage, client_to)


def client_of(storage, client_to):
    folder = storage.root / "alice" / "shared"
    (folder / "sub").mkdir(parents=True)
    (folder / "f.txt").write_text("hello")
    (folder / "one.txt").write_text("one")
    for path in (folder, folder / "sub", folder / "f.txt", folder / "one.txt"):
        path.chmod(0o777)
    pair = f"{storage.username}:{storage.password}".encode()
    client = client_to(
        storage.url,
        root=("alice", "shared"),
        authorization=f"Basic {base64.b64encode(pair).decode()}",
        profile=Profile(**servers.QUIRKS[storage.name]),
    )
    client.folder, client.name = folder, storage.name
    return client


async def status(client, method, path, body=None, **headers):
    try:
        return (await client.ask(method, path, body, **headers))[0]
    except (WrongMethod, NotFound) as error:
        return error.status


async def test_what_goes_into_a_folder_that_is_not_there_conflicts(each):
    """RFC 4918 9.3.1, 9.7.1, 9.8.5, 9.9.4: 409, and nobody makes the folder."""
    for above in ("no/such", "one.txt"):
        there = f"{HERE}/{above}/x"
        assert await status(each, "PUT", f"/{above}/x", b"x") == 409, above
        made = await status(each, "MKCOL", f"/{above}/x")
        assert made == 409 or (made == 405 and each.name == "rclone"), above
        assert await status(each, "COPY", "/f.txt", Destination=there) == 409, above
        assert await status(each, "MOVE", "/f.txt", Destination=there) == 409, above
        assert await status(each, "PROPFIND", f"/{above}/x", Depth="0") in (404, 403), above
    found = sorted(path.name for path in each.folder.iterdir() if path.name != ".DAV")
    assert found == ["f.txt", "one.txt", "sub"]


async def test_what_is_there_already_is_no_new_folder_and_a_folder_no_file(each):
    if each.name != "rclone":  # which says 201, and leaves the file alone
        assert await status(each, "MKCOL", "/f.txt") == 405
        assert await status(each, "MKCOL", "/f.txt/") == 405
    assert await status(each, "PUT", "/sub", b"x") in (405, 409)
    assert (each.folder / "f.txt").read_text() == "hello"
    assert (each.folder / "sub").is_dir()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MOVE", "COPY"])
async def test_a_condition_that_does_not_hold_changes_nothing(each, method):
    to = {"Destination": f"{HERE}/one.txt"} if method in ("MOVE", "COPY") else {}
    body = b"lost" if method == "PUT" else None
    for condition in ({"If_Match": '"other"'}, {"If": '(["other"])'}):
        assert await status(each, method, "/f.txt", body, **to, **condition) == 412, condition
    assert (each.folder / "f.txt").read_text() == "hello"
    assert (each.folder / "one.txt").read_text() == "one"
    if each.name == "nginx":
        _, fields, _ = await each.ask("HEAD", "/f.txt")
        held = f'(["other"]) ([{fields["ETag"]}])'
        assert await status(each, method, "/f.txt", body, **to, If=held) in (201, 204)


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
async def test_of_several_that_want_one_new_name_one_gets_it(each, method):
    for turn in range(5):
        for number in range(6):
            assert await status(each, "PUT", f"/{number}", b"%d" % number) in (201, 204)
        wanted = {"Destination": f"{HERE}/new{turn}", "Overwrite": "F"}
        asking = (status(each, method, f"/{number}", **wanted) for number in range(6))
        first, *others = sorted(await asyncio.gather(*asking))
        assert first in (201, 204)  # nginx says 204 to everything
        assert others == [412] * 5
        held = {path.read_text() for path in each.folder.iterdir() if path.is_file()}
        assert held >= set("012345"), "what was moved away is nowhere"


@pytest.mark.parametrize("condition", ["If_Match", "If_None_Match"])
async def test_of_several_who_upload_on_one_condition_at_once_one_does(each, condition):
    os.utime(each.folder / "f.txt", (1_700_000_000, 1_700_000_000))  # the ETag of old is strong
    _, fields, _ = await each.ask("HEAD", "/f.txt")
    path, value = ("/f.txt", fields["ETag"]) if condition == "If_Match" else ("/new", "*")

    async def slowly(number):
        yield b"%d" % number
        await asyncio.sleep(0.2)
        yield b"." * (number + 10)

    asking = (status(each, "PUT", path, slowly(n), **{condition: value}) for n in range(3))
    first, *others = sorted(await asyncio.gather(*asking))
    assert first in (201, 204)
    assert others == [412, 412]


async def test_nobody_waits_long_for_an_upload_that_does_not_end(tmp_path, client_to, monkeypatch):
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.1)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless():
        yield b"first"
        begun.set()
        await ended.wait()

    with servers.apache(tmp_path) as storage:
        client = client_of(storage, client_to)
        first = asyncio.create_task(client.ask("PUT", "/new", endless(), If_None_Match="*"))
        await begun.wait()
        assert await status(client, "PUT", "/new", b"second", If_None_Match="*") == 423
        assert await status(client, "PUT", "/other", b"second", If_None_Match="*") == 201
        ended.set()
        assert (await first)[0] == 201


async def test_a_lock_is_refreshed_by_its_own_scope_alone(each):
    _, fields, _ = await each.ask("LOCK", "/f.txt", OWNED, Depth="0")
    token = fields["Lock-Token"]
    stranger = replace(each, target=replace(each.target, scope="share-2"))
    stolen, _, told = await stranger.ask("LOCK", "/f.txt", If=f"({token})")
    assert stolen == 412, told
    assert await status(each, "LOCK", "/f.txt", If=f"({token})") == 200
    assert await status(each, "UNLOCK", "/f.txt", Lock_Token=token) == 204


async def test_the_owner_of_a_lock_comes_back_in_whatever_prefix(each):
    """rclone repeats it word for word in a document of its own."""
    made, fields, told = await each.ask("LOCK", "/f.txt", OWNED, Depth="0")
    assert made == 200
    owner = ElementTree.fromstring(told).find(".//{DAV:}owner")
    if owner is not None and len(owner):  # nginx and lighttpd tell none
        assert owner.findtext("{DAV:}href") == "http://me/?a&b"
    assert await status(each, "UNLOCK", "/f.txt", Lock_Token=fields["Lock-Token"]) == 204


async def test_a_lock_that_cannot_be_told_of_is_taken_back(broken, client_to):
    broken.says("200 OK", b"<D:prop>", "Lock-Token: <urn:x>", "Content-Type: application/xml")
    broken.says("204 No Content")
    with pytest.raises(BackendFailed):
        await client_to(broken.base).ask("LOCK", "/f.txt", OWNED, Depth="0")
    await asyncio.sleep(0)
    assert broken.heads[-1].startswith("UNLOCK /dav/shared/f.txt ")
    assert "Lock-Token: <urn:x>" in broken.heads[-1]


async def test_a_file_that_became_a_folder_has_no_head(tmp_path, client_to):
    with servers.rclone(tmp_path) as storage:
        (storage.root / "alice" / "was-a-file").mkdir()
        pair = f"{storage.username}:{storage.password}".encode()
        client = client_to(
            storage.url,
            root=("alice", "was-a-file"),
            single_file=True,
            authorization=f"Basic {base64.b64encode(pair).decode()}",
        )
        assert await status(client, "HEAD", "/") == 404


async def test_a_folder_is_deleted_with_its_slash_and_without(each):
    (each.folder / "sub" / "inside.txt").write_text("x")
    assert await status(each, "DELETE", "/sub") == 204
    assert not (each.folder / "sub").exists()


async def test_a_body_of_blanks_asks_for_everything(client):
    assert await status(client, "PROPFIND", "/", b" \r\n ", Depth="0") == 207
