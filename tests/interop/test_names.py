"""Odd names at every storage, through both doors: written, listed, read, copied, moved, deleted."""

from collections.abc import AsyncIterator
from urllib.parse import unquote
from xml.etree import ElementTree

import aiohttp
import pytest
from yarl import URL

from tests import servers
from tests.interop.doors import DOORS, Shared, shared
from tests.interop.names import content, escaped, odd_names

LONGEST = {"lighttpd": 240}
"""Bytes of a name; lighttpd adds something to it while it writes."""
CUT_IN_DESTINATION = set(";?#")
"""What WsgiDAV ends a Destination at, so that the gateway refuses such moves."""


@pytest.fixture(params=sorted(servers.MORE_STORAGES))
async def share(request, tmp_path) -> AsyncIterator[Shared]:
    with servers.MORE_STORAGES[request.param](tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            yield share


async def ask(http: aiohttp.ClientSession, method: str, url: str, **options) -> tuple[int, bytes]:
    async with http.request(method, URL(url, encoded=True), **options) as answer:
        return answer.status, await answer.read()


async def listed(http: aiohttp.ClientSession, url: str) -> tuple[set[str], set[str]]:
    """The names in a folder, by their hrefs and by their display names."""
    status, body = await ask(http, "PROPFIND", f"{url}/", headers={"Depth": "1"})
    assert status == 207
    _, *members = ElementTree.fromstring(body).iter("{DAV:}response")
    hrefs = [member.findtext("{DAV:}href") or "" for member in members]
    texts = [member.findtext(".//{DAV:}displayname") or "" for member in members]
    assert len(members) == len(set(hrefs))
    return {unquote(href.rstrip("/").rpartition("/")[2]) for href in hrefs}, set(texts)


@pytest.mark.parametrize("door", DOORS)
async def test_odd_names_live_a_whole_life(share, door):
    url, headers = share.door(door)
    storage = share.storage.name
    names = [
        name
        for name in odd_names(80)
        if len(name.encode()) <= LONGEST.get(storage, 255)
        and not (door == "received" and "\\" in name)
    ]
    movable = [name for name in names if storage != "wsgidav" or not CUT_IN_DESTINATION & set(name)]
    shown = {name for name in names if storage != "nginx" or not name.startswith(".")}
    async with aiohttp.ClientSession(headers=headers) as http:
        for folder in ("from", "to"):
            assert (await ask(http, "MKCOL", f"{url}/{folder}/"))[0] == 201
        for name in names:
            status, _ = await ask(http, "PUT", f"{url}/from/{escaped(name)}", data=content(name))
            assert status == 201, ascii(name)
        by_href, by_text = await listed(http, f"{url}/from")
        assert by_href == by_text == shown
        assert {file.name for file in (share.folder / "from").glob("[!.]*")} >= {
            name for name in names if not name.startswith(".")
        }
        for name in names:
            _, found = await ask(http, "GET", f"{url}/from/{escaped(name)}")
            assert found == content(name), ascii(name)
        for name in movable:
            here, there = f"{url}/from/{escaped(name)}", f"{url}/to/{escaped(name)}"
            for method, status in (("COPY", 201), ("DELETE", 204), ("MOVE", 201)):
                goal = {"Destination": there, "Overwrite": "F"}
                at = there if method == "DELETE" else here
                answered, _ = await ask(http, method, at, headers=goal)
                assert answered in (status, 204), (method, ascii(name))
            assert (await ask(http, "GET", here))[0] == 404, ascii(name)
            _, found = await ask(http, "GET", there)
            assert found == content(name), ascii(name)
        stayed = set(names) - set(movable)
        assert {file.name for file in (share.folder / "from").iterdir() if file.is_file()} == stayed
        for folder in ("from", "to"):
            assert (await ask(http, "DELETE", f"{url}/{folder}/"))[0] == 204
    assert [file for file in share.folder.iterdir() if file.name != ".DAV"] == []


async def test_a_backslash_from_another_server_is_refused_wherever_it_stands(tmp_path):
    with servers.apache(tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            url, headers = share.door("received")
            async with aiohttp.ClientSession(headers=headers) as http:
                for method in ("PUT", "GET", "PROPFIND", "MKCOL", "DELETE"):
                    assert (await ask(http, method, f"{url}/a%5Cb"))[0] == 400
                await ask(http, "PUT", f"{url}/plain", data=b"x")
                goal = {"Destination": f"{url}/a%5Cb"}
                assert (await ask(http, "MOVE", f"{url}/plain", headers=goal))[0] == 400
            assert [file.name for file in share.folder.iterdir() if file.is_file()] == ["plain"]
