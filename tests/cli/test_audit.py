"""The audit trail on the command line, as a real exchange between two servers fills it."""

import csv
import json
import sqlite3

import pytest

from tests import servers
from tests.pair import running


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """alice has shared with bob, who accepted; then she withdrew it."""
    folder = tmp_path_factory.mktemp("audit")
    (folder / "s").mkdir()
    with (
        servers.wsgidav(folder / "s") as storage,
        running(folder / "a", storage.url) as a,
        running(folder / "b", storage.url) as b,
    ):
        (storage.root / "alice" / "x.txt").write_text("x")
        share = a.run("share", "create", "-u", "alice", "/x.txt", f"bob@{b.authority}")
        [received] = b.run("received", "list")
        b.run("received", "accept", received["id"])
        a.run("share", "revoke", share["id"])
        yield a, b


def test_each_step_of_a_share_is_in_both_trails(pair):
    a, b = pair
    sent = [entry["what"] for entry in reversed(a.run("audit", "list"))]
    assert sent == ["policy.adopted", "sent.created", "sent.accepted", "sent.revoked"]
    received = [entry["what"] for entry in reversed(b.run("audit", "list"))]
    assert received == [
        "policy.adopted",
        "received.arrived",
        "received.accepted",
        "received.unshared",
    ]
    [created] = a.run("audit", "list", "--what", "sent.created")
    assert (created["who"], created["whom"]) == (f"alice@{a.authority}", f"bob@{b.authority}")
    assert created["provider"] == b.authority
    assert a.run("audit", "list", "--decision", created["decision"]) == [created]


def test_the_trail_is_exported_as_lines_and_as_a_table(pair):
    _, b = pair
    lines = b.command("audit", "export").stdout.splitlines()
    rows = list(csv.DictReader(b.command("audit", "export", "--format", "csv").stdout.splitlines()))
    assert [json.loads(line)["hash"] for line in lines] == [row["hash"] for row in rows]
    assert len(rows) == 4


def test_the_trail_verifies_until_a_byte_is_changed_and_after_an_address_is_erased(pair):
    a, b = pair
    bob = f"bob@{b.authority}"
    assert a.run("audit", "verify")["sound"]
    assert a.run("audit", "erase", bob) == {"erased": 3}
    assert a.run("audit", "list", "--address", bob) == []
    assert a.run("audit", "verify") == {
        "sound": True, "entries": 5, "first": 1, "last": 5, "damaged": None, "fault": "",
    }  # fmt: skip
    assert a.run("audit", "prune", "--before", "1") == {"pruned": 0}
    with sqlite3.connect(b.file.parent / "state/gateway.sqlite") as database:
        database.execute("UPDATE audit SET about = about || 'x' WHERE position = 2")
    database.close()
    found = b.run("audit", "verify", code=4)
    assert (found["sound"], found["damaged"]) == (False, 2)
