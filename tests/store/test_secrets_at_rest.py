"""Secrets and tokens stand nowhere in the clear: not in the database, not in the log."""

import stat

import pytest

from gateway.errors import Unavailable
from gateway.store.state import open_state
from gateway.store.tables import received_shares
from gateway.store.vault import Vault, open_vault
from tests.peer import Answer
from tests.sharing.stage import (
    ALICE,
    browse,
    create_share,
    gateway,
    opened,
    peer,
    receive_share,
    request,
    storage,
    token_of,
    visit,
)

__all__ = ["gateway", "opened", "peer", "storage"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_tree_of_shares_is_listed_without_their_secrets(gateway, peer):
    share = await receive_share(peer, gateway)
    spoiled = received_shares.update().values(sealed_secret="not sealed by us")
    await gateway.state.database.write(lambda one: one.execute(spoiled).rowcount)
    url = f"{gateway.ours.origin}/remote/dav/received/"
    ask = request("PROPFIND", url, b"", {"Authorization": ALICE, "Depth": "1"})
    listing = await peer.send(ask)
    assert (listing.status, share.folder in listing.body.decode()) == (207, True)


@pytest.mark.conforms("OCM-14.3-03", "OCM-14.3-04", "OCM-GW-06")
async def test_no_secret_stands_in_the_state_or_the_log(gateway, peer, capfd):
    sent = await create_share(gateway, peer)
    token = await token_of(gateway, peer, sent)
    await visit(gateway, peer, sent.provider_id, token)
    await visit(gateway, peer, sent.provider_id, sent.shared_secret)
    received = await receive_share(peer, gateway)
    await browse(gateway, peer, received.folder)
    peer.on("POST /ocm/token", Answer(500, {"message": "no"}))
    peer.dead.add("token-1")
    await browse(gateway, peer, received.folder)
    peer.on("POST /ocm/shares", Answer(503))
    failed = await create_share(gateway, peer)
    secrets = [sent.shared_secret, received.shared_secret, failed.shared_secret, token, "token-1"]
    secrets += ["alice-password", "the-gateways-own-secret"]
    files = [file for file in gateway.settings.state.folder.rglob("*") if file.is_file()]
    assert {"gateway.sqlite", "gateway.sqlite-wal", "secret.key"} <= {file.name for file in files}
    log = "".join(capfd.readouterr())
    assert "share.created" in log
    for secret in secrets:
        assert [file.name for file in files if secret.encode() in file.read_bytes()] == []
        assert secret not in log
        assert secret not in repr(sent) + repr(received) + repr(failed)


async def test_the_private_key_is_sealed(gateway):
    [seed] = [key.private.private_bytes_raw() for key in gateway.ring.published]
    for file in gateway.settings.state.folder.rglob("*"):
        if file.is_file():
            assert seed not in file.read_bytes()
            assert seed.hex().encode() not in file.read_bytes()


async def test_the_state_is_for_the_gateway_alone(gateway):
    folder = gateway.settings.state.folder
    assert mode(folder) == 0o700
    assert mode(folder / "secret.key") == 0o600


async def test_a_lost_key_is_an_error_and_not_a_new_key(tmp_path):
    key = tmp_path / "secret.key"
    await (await open_state(tmp_path, tmp_path / "db", key)).close()
    key.unlink()
    with pytest.raises(Unavailable):
        await open_state(tmp_path, tmp_path / "db", key)
    assert not key.exists()


async def test_a_key_is_kept_over_a_restart(tmp_path):
    key = tmp_path / "secret.key"
    await (await open_state(tmp_path, tmp_path / "db", key)).close()
    before = key.read_bytes()
    await (await open_state(tmp_path, tmp_path / "db", key)).close()
    assert key.read_bytes() == before


@pytest.mark.parametrize("content", ["", "short", "!!!", "QUJD", "\xff"])
def test_a_broken_key_file_is_an_error(tmp_path, content):
    file = tmp_path / "key"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(Unavailable):
        open_vault(file, fresh=True)
    assert file.read_text(encoding="latin-1") == content


def test_a_sealed_secret_opens_in_its_place_only():
    vault = Vault(bytes(32))
    sealed = vault.seal("secret", "here")
    assert vault.open(sealed, "here") == "secret"
    assert sealed != vault.seal("secret", "here")
    for opener, place in ((vault, "there"), (Vault(bytes(31) + b"x"), "here")):
        with pytest.raises(Unavailable):
            opener.open(sealed, place)


def test_a_fingerprint_needs_the_key():
    one, two = Vault(bytes(32)), Vault(b"x" * 32)
    assert one.fingerprint("s") == one.fingerprint("s") != two.fingerprint("s")
    assert one.fingerprint("s") != one.fingerprint("S")
