"""Files as pages handle them, on a real storage and in a share of a real second gateway."""

import io
import shutil
import zipfile

import pytest

from gateway.dav.locks import LockSeal
from gateway.errors import Conflict, Malformed, NotFound, Refused
from gateway.model import Permission, User
from gateway.sharing.files import Files
from gateway.sharing.sending import Offer
from tests.sharing.stage import gateway, opened, other, peer, storage  # noqa: F401

ALICE = User("alice")


async def content(*parts):
    for part in parts:
        yield part


async def text(files, place):
    async with files.read(place) as answer:
        if isinstance(answer.body, bytes):
            return answer.body
        return b"".join([chunk async for chunk in answer.body])


@pytest.fixture
def files(gateway, storage):  # noqa: F811
    shutil.rmtree(storage.root / "alice" / "work", ignore_errors=True)
    (storage.root / "alice" / "work").mkdir()
    return Files(gateway.storage, gateway.visiting, LockSeal(gateway.state.vault.lock_key))


async def names(files, place):
    _, items = await files.list(place)
    return [item.name for item in items]


async def test_folders_come_first_then_names_whatever_their_case(files, storage):  # noqa: F811
    folder = storage.root / "alice" / "order"
    folder.mkdir(exist_ok=True)
    for name in ("b.txt", "A.txt", "c#?%25 ä.txt"):
        (folder / name).write_bytes(b"12345")
    (folder / "zoo").mkdir(exist_ok=True)
    here, items = await files.list(files.own(ALICE, ("order",)))
    assert here.name == "order"
    assert here.folder
    assert [item.name for item in items] == ["zoo", "A.txt", "b.txt", "c#?%25 ä.txt"]
    assert items[0].folder
    assert items[0].size is None
    assert items[1].size == 5
    assert items[1].modified_at


async def test_what_is_written_is_read_renamed_and_deleted(files):
    place = files.own(ALICE, ("work", "new.txt"))
    await files.write(place, content(b"one ", b"two"), 7, new=True)
    assert await text(files, place) == b"one two"
    with pytest.raises(Conflict):
        await files.write(place, content(b"x"), 1, new=True)
    assert await text(files, place) == b"one two"
    await files.rename(place, "old.txt")
    assert "old.txt" in await names(files, files.own(ALICE, ("work",)))
    await files.delete(files.own(ALICE, ("work", "old.txt")))
    with pytest.raises(NotFound):
        await text(files, files.own(ALICE, ("work", "old.txt")))


async def test_a_name_never_leaves_its_folder_and_never_takes_another_ones_place(files):
    await files.make_folder(files.own(ALICE, ("work", "a")))
    await files.make_folder(files.own(ALICE, ("work", "b")))
    place = files.own(ALICE, ("work", "a"))
    for name in ("../up", "..", "x/y", ""):
        with pytest.raises(Malformed):
            await files.rename(place, name)
    with pytest.raises(Conflict):
        await files.rename(place, "b")
    with pytest.raises(Conflict):
        await files.make_folder(place)
    assert {"a", "b"} <= set(await names(files, files.own(ALICE, ("work",))))


async def test_an_archive_holds_the_whole_tree(files, storage):  # noqa: F811
    top = storage.root / "alice" / "pack"
    (top / "deep" / "empty").mkdir(parents=True, exist_ok=True)
    (top / "deep" / "ünï.txt").write_bytes(b"deep")
    (top / "big.bin").write_bytes(b"x" * 300_000)
    packed = b"".join([part async for part in files.archive(files.own(ALICE, ("pack",)))])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {"deep/", "deep/empty/", "deep/ünï.txt", "big.bin"}
        assert archive.read("deep/ünï.txt") == b"deep"
        assert archive.read("big.bin") == b"x" * 300_000


async def test_a_received_share_is_browsed_like_ones_own_files(opened, storage):  # noqa: F811
    here, there = await opened(folder="here"), await opened(folder="there")
    share = await here.sending.create_share(
        Offer("alice", "/trip", f"bob@{there.ours.authority}", frozenset({Permission.READ}))
    )
    [received] = await there.receiving.inbox("bob")
    await there.receiving.accept(received.id)
    files = Files(there.storage, there.visiting, LockSeal(there.state.vault.lock_key))
    bob = User("bob")
    place = await files.received(bob, received.folder, ())
    assert not place.writable
    assert "day.txt" in await names(files, place)
    day = await files.received(bob, received.folder, ("day.txt",))
    assert await text(files, day) == b"sunny"
    with pytest.raises(Refused):
        await files.write(day, content(b"rain"), 4, new=False)
    await here.sending.revoke(share.provider_id)
    with pytest.raises(NotFound):
        await files.received(bob, received.folder, ())
