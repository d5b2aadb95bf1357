"""Heads that are no text, and bodies that wait to be asked for: an answer, no fault of ours."""

import asyncio
import base64
import json

import pytest

from gateway.model import Permission
from tests.servers import USERS
from tests.sharing.stage import create_share, token_of
from tests.web.browser import browser

WRITE = frozenset({Permission.READ, Permission.WRITE})
ODD = ("\udcff", "\u00e4", "a.b.\udcff", "YTpi\udcff")
ALICE = "Basic " + base64.b64encode(f"alice:{USERS['alice']}".encode()).decode()
LISTED = b'<d:propfind xmlns:d="DAV:"><d:allprop/></d:propfind>'


async def connect(gateway):
    return await asyncio.open_connection(*gateway.ours.authority.split(":"))


async def raw(gateway, line: str, **headers: str) -> tuple[int, bytes]:
    """Status and bytes of the answer to a head whose surrogates stand for single bytes."""
    reader, writer = await connect(gateway)
    fields = {"Host": gateway.ours.authority, "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"{line} HTTP/1.1\r\n{head}\r\n".encode(errors="surrogateescape"))
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", ""])
@pytest.mark.parametrize("path", ["/remote/dav/ocm/x/", "/remote/dav/received/", "/api/v1/shares"])
async def test_a_credential_that_is_no_text_is_a_wrong_one(gateway, path, scheme):
    for odd in ODD:
        status, answer = await raw(gateway, f"GET {path}", Authorization=f"{scheme} {odd}".strip())
        assert status == 401, answer


async def test_a_lock_token_that_is_no_text_is_nobodys(gateway, peer):
    share = await create_share(gateway, peer, permissions=WRITE)
    door = f"/remote/dav/ocm/{share.provider_id}/"
    bearer = f"Bearer {await token_of(gateway, peer, share)}"
    for odd in ODD:
        token = f"<urn:ocmgw:{odd}:{odd}>"
        unlocked = await raw(
            gateway, f"UNLOCK {door}letter.txt", Authorization=bearer, Lock_Token=token
        )
        assert unlocked[0] == 409, unlocked
        deleted = await raw(
            gateway, f"DELETE {door}letter.txt", Authorization=bearer, If=f"({token})"
        )
        assert deleted[0] in (404, 412), deleted


async def test_a_browser_whose_name_is_no_text_may_log_in(gateway):
    async with browser(gateway) as visitor:
        csrf = (await visitor.get("/login")).fields()["csrf"]
        [cookie] = visitor.cookies.values()
        form = f"csrf={csrf}&name=alice&password={USERS['alice']}".encode()
        reader, writer = await connect(gateway)
        head = (
            f"POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: M\udcfcller\r\n"
            f"Cookie: {cookie.key}={cookie.value}\r\nContent-Length: {len(form)}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        writer.write(head.encode(errors="surrogateescape") + form)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.split(b" ", 2)[1] == b"303", answer


@pytest.mark.parametrize(
    ("line", "kind", "body", "expected"),
    [
        ("PROPFIND /remote/dav/received/", "application/xml", LISTED, 207),
        (
            "POST /api/v1/contacts",
            "application/json",
            json.dumps({"address": "bob@127.0.0.1"}).encode(),
            201,
        ),
    ],
)
async def test_who_waits_to_be_asked_for_the_body_is_asked(gateway, line, kind, body, expected):
    """RFC 9110 10.1.1."""
    reader, writer = await connect(gateway)
    writer.write(
        f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {ALICE}\r\n"
        f"Depth: 0\r\nExpect: 100-continue\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
    )
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert told.startswith(b"HTTP/1.1 100 "), told
    writer.write(body)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert int(answer.split(b" ", 2)[1]) == expected, answer


@pytest.mark.parametrize(
    ("share", "name"), [("x\r\nX-Odd: 1", "a.txt"), ("x", "a\udcff.txt"), ("a&b=c", "a.txt")]
)
async def test_an_upload_with_an_odd_name_for_file_or_share_is_told_so(gateway, share, name):
    async with browser(gateway) as visitor:
        await visitor.login()
        csrf = (await visitor.get("/files")).fields()["csrf"]
        cookies = "; ".join(f"{one.key}={one.value}" for one in visitor.cookies.values())
        parts = "".join(
            f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in {"csrf": csrf, "path": "", "share": share}.items()
        )
        parts += (
            f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nhi\r\n'
        )
        form = (parts + "--b--\r\n").encode(errors="surrogateescape")
        reader, writer = await connect(gateway)
        head = (
            "POST /received/open/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Cookie: {cookies}\r\nContent-Length: {len(form)}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        writer.write(head.encode() + form)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.split(b" ", 2)[1] == b"303", answer
    assert b"X-Odd" not in answer.replace(b"%0AX-Odd", b"")
    assert b"b=c" not in answer
