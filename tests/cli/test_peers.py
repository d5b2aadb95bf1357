"""What the operator does with other servers, from the command line, beside a running gateway."""

import asyncio
import json
from functools import partial

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import console
from gateway.cli.main import app
from tests.pair import eventually, settings, write
from tests.peer import p256_key, unsigned
from tests.sharing.stage import address, opened, peer, send_share, shares_of, storage

__all__ = ["opened", "peer", "storage"]

PIN, OTHER_PIN = "a" * 43, "b" * 43


@pytest.fixture(autouse=True)
def _own_log():
    """The commands set up the log for their process, which is ours here."""
    yield
    structlog.reset_defaults()


def answer_of(file, *words, code=0):
    done = CliRunner().invoke(app, ["peers", *words, "--json", "--config", str(file)])
    assert done.exit_code == code, f"{done.output} {done.exception!r}"
    return json.loads(done.stdout)


@pytest.fixture
def peers(tmp_path, storage):
    """Runs `peers ...` without a server; its JSON answer."""
    return partial(answer_of, write(tmp_path, settings(tmp_path, storage.url)))


@pytest.fixture
def beside(tmp_path, opened):
    """A running gateway, and `peers ...` beside it."""

    async def start(**changes):
        gateway = await opened(**changes)
        file = tmp_path / "gateway" / "gateway.yaml"

        async def run(*words, code=0):
            return await asyncio.to_thread(answer_of, file, *words, code=code)

        return gateway, run

    return start


async def offer(peer, gateway, made=None):
    """The status of a share that the peer offers, signed as ever or as `made` does."""
    url, body = shares_of(gateway), peer.share(address(gateway))
    return (await peer.send(made(url, body) if made else peer.signed("POST", url, body))).status


def plain(url, body):
    return unsigned("POST", url, body)


def test_a_server_is_added_shown_listed_and_removed(peers):
    assert peers("list") == []
    added = peers("add", "Cloud.Example.", "--comment", "a partner", "--pin", PIN)
    assert (added["authority"], added["standing"], added["comment"], added["source"]) == (
        "cloud.example",
        "approved",
        "a partner",
        "configured",
    )
    assert peers("list") == [added]
    shown = peers("show", "cloud.example")
    [key] = shown.pop("keys")
    assert shown == added
    assert (key["thumbprint"], key["standing"], key["lastSeenAt"]) == (PIN, "pinned", 0)
    assert peers("remove", "cloud.example") == {"authority": "cloud.example", "removed": True}
    assert peers("list") == []


@pytest.mark.parametrize("verb", ["show", "reset", "remove", "pin"])
def test_a_server_that_is_not_known_is_not_found(peers, verb):
    said = peers(verb, "cloud.example", code=console.NOT_FOUND)
    assert said["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "words",
    [
        ("add", "not a host"),
        ("add", "cloud.example", "--pin", "short"),
        ("pin", "cloud.example", "short"),
        ("pin", "cloud.example", "--off"),
        ("approve", "127.1"),
        ("block", "https://cloud.example/"),
        ("test", "not a host"),
        ("import", "no-such-file.csv"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_a_usage_error(peers, words):
    assert peers(*words, code=console.USAGE)["error"]["code"]
    assert peers("list") == []


def test_a_pin_is_set_and_taken_away(peers):
    peers("add", "cloud.example")
    peers("pin", "cloud.example", PIN)
    peers("pin", "cloud.example", OTHER_PIN)
    keys = peers("show", "cloud.example")["keys"]
    assert {key["thumbprint"] for key in keys} == {PIN, OTHER_PIN}
    peers("pin", "cloud.example", PIN, "--off")
    [left] = peers("show", "cloud.example")["keys"]
    assert left["thumbprint"] == OTHER_PIN
    peers("pin", "cloud.example", PIN, "--off", code=console.NOT_FOUND)
    said = peers("pin", "cloud.example", code=console.REFUSED)
    assert "0 keys" in said["error"]["message"]


LIST = f"""authority,standing,comment,pins
one.example,,"first, and good",{PIN} {OTHER_PIN}
two.example:8443,blocked,spam,
three.example,known,,
"""


def standings(peers):
    return {one["authority"]: one["standing"] for one in peers("list")}


def test_an_import_is_shown_first_then_done_and_does_nothing_twice(peers, tmp_path):
    file = tmp_path / "partners.csv"
    file.write_text(LIST)
    peers("add", "two.example:8443", "--comment", "was fine")
    peers("add", "mine.example")
    wanted = [
        {
            "authority": "one.example",
            "before": None,
            "standing": "approved",
            "comment": "first, and good",
            "pinned": [PIN, OTHER_PIN],
        },
        {
            "authority": "two.example:8443",
            "before": "approved",
            "standing": "blocked",
            "comment": "spam",
            "pinned": [],
        },
        {
            "authority": "three.example",
            "before": None,
            "standing": "known",
            "comment": "",
            "pinned": [],
        },
    ]
    before = peers("list")
    shown = peers("import", str(file), "--dry-run")
    assert shown == {"changes": wanted, "unchanged": 0, "applied": False}
    assert peers("list") == before
    assert peers("import", str(file)) == {"changes": wanted, "unchanged": 0, "applied": True}
    assert standings(peers) == {
        "mine.example": "approved",
        "one.example": "approved",
        "three.example": "known",
        "two.example:8443": "blocked",
    }
    assert {key["standing"] for key in peers("show", "one.example")["keys"]} == {"pinned"}
    assert peers("import", str(file)) == {"changes": [], "unchanged": 3, "applied": True}


def test_a_list_of_one_gateway_is_taken_in_by_another(peers, tmp_path, storage):
    peers("add", "one.example", "--comment", "good")
    peers("block", "two.example", "--comment", "bad")
    file = tmp_path / "list.json"
    file.write_text(json.dumps(peers("list")))
    other = partial(answer_of, write(tmp_path / "other", settings(tmp_path / "other", storage.url)))
    assert other("import", str(file))["applied"]
    assert standings(other) == {"one.example": "approved", "two.example": "blocked"}
    assert [one["comment"] for one in other("list")] == ["good", "bad"]


@pytest.mark.parametrize(
    ("name", "text", "faults"),
    [
        ("x.csv", "authority,standing\ngood.example,\nnot a host,\nb.example,friend\n", 2),
        ("x.csv", "authority,pins\ngood.example,short\n", 1),
        ("x.csv", "authority\ngood.example\nGOOD.example.\n", 1),
        ("x.csv", "authority\ngood.example,approved\n", 1),
        ("x.csv", "authority,standing\ngood.example,approved\n,blocked\n", 1),
        ("x.csv", "server,then\ngood.example,allow\n", 0),
        ("x.csv", "", 0),
        ("x.json", '{"authority": "good.example"}', 0),
        ("x.json", '[{"authority": "good.example"}, "b.example", {"standing": "blocked"}]', 2),
        ("x.json", "[" * 100_000, 0),
        ("x.json", "\x00", 0),
    ],
)
def test_a_list_with_a_fault_changes_nothing_and_is_told_all_of_them(
    peers, tmp_path, name, text, faults
):
    file = tmp_path / name
    file.write_text(text)
    for more in ((), ("--dry-run",)):
        said = peers("import", str(file), *more, code=console.USAGE)["error"]
        assert len(said.get("fields", {})) == faults
    assert peers("list") == []


async def test_a_block_by_command_refuses_and_an_approval_lets_in_again(beside, peer):
    gateway, peers = await beside()
    assert await offer(peer, gateway) == 201
    assert (await peers("block", peer.authority, "--comment", "spam"))["standing"] == "blocked"
    await eventually(partial(refused, peer, gateway))
    assert (await peers("approve", peer.authority))["comment"] == "spam"
    await eventually(partial(taken, peer, gateway))


async def test_a_server_that_waits_is_listed_as_pending_until_it_is_approved(beside, peer):
    gateway, peers = await beside(trust={"approval": True})
    assert await offer(peer, gateway) == 403
    [waiting] = await peers("list")
    assert (waiting["authority"], waiting["standing"]) == (peer.authority, "pending")
    await peers("approve", peer.authority)
    await eventually(partial(taken, peer, gateway))


async def test_the_downgrade_guard_is_reset_by_command(beside, peer):
    known = [{"server": peer.authority, "unsigned": True}]
    gateway, peers = await beside(dialects={"servers": known})
    await send_share(peer, gateway)
    shown = await peers("show", peer.authority)
    assert (shown["scheme"], len(shown["keys"])) == ("rfc9421", 1)
    assert await offer(peer, gateway, plain) == 401
    reset = await peers("reset", peer.authority)
    assert reset["scheme"] == "none"
    assert (await peers("show", peer.authority))["keys"] == []
    await eventually(partial(taken, peer, gateway, plain))


async def test_a_pin_by_command_rules_out_every_other_key(beside, peer):
    gateway, peers = await beside()
    await send_share(peer, gateway)
    await peers("pin", peer.authority)
    [key] = (await peers("show", peer.authority))["keys"]
    assert (key["kid"], key["standing"]) == (peer.key.kid, "pinned")
    peer.key = p256_key(f"{peer.authority}#key2")
    peer.keys.append(peer.key)
    assert await offer(peer, gateway) == 401
    await peers("pin", peer.authority, key["thumbprint"], "--off")
    await peers("reset", peer.authority)
    await eventually(partial(taken, peer, gateway))


async def test_a_test_tells_what_works_and_asks_anew(beside, peer):
    _, peers = await beside()
    good = await peers("test", peer.authority)
    assert (good["ok"], good["failedAt"], good["server"]) == (True, None, peer.authority)
    asked = len(peer.requests("GET /.well-known/ocm"))
    await peers("block", peer.authority)
    bad = await peers("test", peer.authority, code=console.REFUSED)
    assert (bad["ok"], bad["failedAt"]) == (False, "policy")
    assert len(peer.requests("GET /.well-known/ocm")) > asked


async def refused(peer, gateway):
    return await offer(peer, gateway) == 403


async def taken(peer, gateway, made=None):
    return await offer(peer, gateway, made) == 201
