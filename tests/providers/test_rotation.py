"""Our keys from files, and keys that are replaced by themselves."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.errors import Conflict, Malformed
from gateway.model import KeyState
from gateway.providers.ring import read_keys
from tests.providers.test_ring import kids
from tests.sharing.stage import Clock
from tests.sharing.test_trail import entries

DAY = 86_400


def write_pem(file, private, password=None):
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    file.write_bytes(pem)
    return file


def states(gateway):
    return {one.key.kid: one.state for one in gateway.ring.keys if not one.cavage}


async def test_a_key_is_replaced_by_itself_and_published_before_and_after(opened, peer):
    clock = Clock()
    gateway = await opened(clock, keys={"rotate_days": 30, "overlap_days": 3})
    old = gateway.ring.active.kid

    async def after(seconds):
        clock.now += seconds
        for _ in range(2):  # a second look changes nothing
            await gateway.rotating.turn()
        return [one.rpartition("#")[2] for one in await kids(gateway, peer)]

    assert await after(29 * DAY - 1) == ["key1"]
    assert await after(1) == ["key1", "key2"]
    assert await after(DAY - 1) == ["key1", "key2"]
    assert await after(1) == ["key2", "key1"]
    assert await after(3 * DAY) == ["key2"]
    assert states(gateway)[old] is KeyState.RETIRED
    found = await entries(gateway, "key.")
    assert {one.deed.who for one in found} == {"keys.rotate_days"}
    assert [one.deed.what for one in found] == ["key.staged", "key.active", "key.retired"]


async def test_a_gateway_that_slept_publishes_the_key_a_day_before_it_signs(opened):
    clock = Clock()
    gateway = await opened(clock, keys={"rotate_days": 30})
    old = gateway.ring.active.kid
    clock.now += 90 * DAY
    await gateway.rotating.turn()
    assert gateway.ring.active.kid == old
    clock.now += DAY
    await gateway.rotating.turn()
    assert gateway.ring.active.kid != old


async def test_the_key_that_the_operator_staged_is_the_next_one(opened):
    clock = Clock()
    gateway = await opened(clock, keys={"rotate_days": 30})
    mine = (await gateway.ring.stage("es256")).key.kid
    clock.now += 30 * DAY
    await gateway.rotating.turn()
    assert gateway.ring.active.kid == mine
    assert len(states(gateway)) == 2


async def test_without_the_setting_no_key_is_replaced(opened):
    clock = Clock()
    gateway = await opened(clock)
    clock.now += 4000 * DAY
    await gateway.rotating.turn()
    assert list(states(gateway).values()) == [KeyState.ACTIVE]


async def test_of_keys_in_files_the_first_signs_and_the_others_are_published(
    opened, tmp_path, peer
):
    first = write_pem(tmp_path / "first", ed25519.Ed25519PrivateKey.generate())
    second = write_pem(tmp_path / "second", ec.generate_private_key(ec.SECP256R1()))
    older = write_pem(tmp_path / "older", rsa.generate_private_key(65537, 2048))
    files = [str(first), str(second), str(older)]
    gateway = await opened(folder="a", keys={"files": files})
    assert len(await kids(gateway, peer)) == 2
    one, two = (read_keys([file])[0].private_bytes() for file in (first, second))
    assert gateway.ring.active.private_bytes() == one
    assert gateway.ring.cavage.private_bytes() == read_keys([older])[0].private_bytes()
    before = gateway.ring.active.kid
    again = await gateway.operating.adopt(read_keys([first, second, older]), by="x")
    assert again == []
    await gateway.operating.adopt(read_keys([second, first]), by="x")
    assert gateway.ring.active.private_bytes() == two
    assert len(await kids(gateway, peer)) == 2
    await gateway.ring.retire(before, compromised=True)
    with pytest.raises(Conflict):
        await gateway.operating.adopt(read_keys([first]), by="x")
    assert gateway.ring.active.private_bytes() == two


async def test_a_gateway_that_made_its_key_takes_one_from_a_file(gateway, tmp_path, peer):
    old = gateway.ring.active.kid
    file = write_pem(tmp_path / "mine", ed25519.Ed25519PrivateKey.generate())
    moved = await gateway.operating.adopt(read_keys([file]), by="keys.files")
    assert moved == [old, gateway.ring.active.kid]
    assert await kids(gateway, peer) == [gateway.ring.active.kid, old]
    found = await entries(gateway, "key.adopted")
    assert [one.deed.about for one in found] == moved


@pytest.mark.parametrize(
    "private",
    [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP384R1())],
)
def test_a_weak_or_strange_key_is_none(tmp_path, private):
    with pytest.raises(Malformed):
        read_keys([write_pem(tmp_path / "key", private)])


def test_what_is_no_plain_private_key_is_none(tmp_path):
    locked = write_pem(tmp_path / "locked", ed25519.Ed25519PrivateKey.generate(), b"secret")
    (tmp_path / "empty").write_bytes(b"")
    for file in (locked, tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(Malformed, match=file.name):
            read_keys([file])
