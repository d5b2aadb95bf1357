"""Names that would break a storage's later listings never get in."""

import pytest

from gateway.errors import GatewayError, NotFound, Refused

HERE = "https://gw.example/remote/dav/ocm/share-1"
POISON = (
    *(f"a%{code:02X}b" for code in (*range(0x20), 0x7F)),
    "a%EF%BF%BE",
    "a%EF%BF%BF",
    "a%ED%A0%80",
    "a%ED%B0%80",
    "a%FF",
    "a%C0%AF",
    "a%E2%82",
    "a%F4%90%80%80",
    "a%2Fb",
    "%2e%2e",
    "x" * 256,
    "%C3%A4" * 128,
)
LOCKINFO = (
    b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype>'
    b"</lockinfo>"
)
ASIDE = "/.ocm-0123456789abcdef01234567.part"


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("name", POISON)
async def test_poisonous_names_are_refused_on_every_way_in(client, storage, name):
    before = everything(storage.files)
    for method, body in (("PUT", b"x"), ("MKCOL", None), ("LOCK", LOCKINFO)):
        with pytest.raises(GatewayError) as caught:
            await client.ask(method, f"/{name}", body)
        assert caught.value.status in (400, 414)
    for method in ("MOVE", "COPY"):
        for destination in (f"{HERE}/{name}", f"{HERE}/{name}/a"):
            with pytest.raises(GatewayError) as caught:
                await client.ask(method, "/a%20b.txt", Destination=destination)
            assert caught.value.status in (400, 414)
    assert everything(storage.files) == before


@pytest.mark.parametrize("byte", ["\x01", "\x7f", "ä", " ", "\ufffe", "\udc80", "#"])
async def test_bytes_that_belong_escaped_are_refused(client, byte):
    with pytest.raises(GatewayError) as caught:
        await client.ask("PUT", f"/a{byte}", b"x")
    assert caught.value.status == 400
    with pytest.raises(GatewayError) as caught:
        await client.ask("MOVE", "/a%20b.txt", Destination=f"{HERE}/a{byte}")
    assert caught.value.status == 400


async def test_unfinished_uploads_are_neither_listed_nor_opened(client, storage):
    (storage.files / "shared" / ASIDE[1:]).write_text("half")
    (storage.files / "shared" / ".ocm-notes.part").write_text("someone's own")
    _, _, body = await client.ask("PROPFIND", Depth="1")
    assert ASIDE.encode() not in body
    assert b"/.ocm-notes.part" in body
    for method in ("GET", "HEAD", "PROPFIND", "PUT", "DELETE", "MOVE", "LOCK", "MKCOL"):
        with pytest.raises(NotFound):
            await client.ask(method, ASIDE, Depth="0", Destination=f"{HERE}/x")
    with pytest.raises(Refused):
        await client.ask("COPY", "/a%20b.txt", Destination=HERE + ASIDE)
    assert (storage.files / "shared" / ASIDE[1:]).read_text() == "half"
