"""Every command answers in JSON, and its exit code says what became of it."""

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from functools import partial

import pytest
import structlog
from typer.testing import CliRunner

from gateway import __version__, config
from gateway.app import open_gateway
from gateway.cli import console
from gateway.cli.main import app, main
from gateway.errors import Malformed
from gateway.model import LoginMethod, Session
from gateway.store import sessions
from tests import servers
from tests.pair import settings, write
from tests.peer import Answer, open_peer
from tests.servers import free_port


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with servers.wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        (storage.root / "alice" / "letter.txt").write_bytes(b"Dear Bob")
        yield storage


@pytest.fixture(autouse=True)
def _own_log():
    """The commands set up the log for their process, which is ours here."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def peer():
    """A foreign server in a thread of its own, as commands bring their own event loop."""
    found, ready = [], threading.Event()

    async def serve():
        async with open_peer() as peer:
            stop = asyncio.Event()
            found.extend([peer, asyncio.get_running_loop(), stop])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    peer, loop, stop = found
    yield peer
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture
def command(tmp_path, storage):
    """Runs a command; its JSON answer, after a look at its exit code."""
    return configured(tmp_path, storage)


def configured(folder, storage, **changes):
    file = write(folder, settings(folder, storage.url, **changes))

    def run(*words, code=0):
        done = CliRunner().invoke(app, [*words, "--json", "--config", str(file)])
        assert done.exit_code == code, f"{done.output} {done.exception!r}"
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def said(answer):
    """An error in JSON."""
    assert set(answer["error"]) >= {"code", "message", "detail"}
    return answer["error"]


def test_check_approves_and_warns(command):
    answer = command("check")
    assert answer["valid"] is True
    assert any("testing.hosts" in warning for warning in answer["warnings"])


def test_a_bad_configuration_is_told_with_all_its_faults(tmp_path, storage):
    command = configured(tmp_path, storage, tokens={"x": 1}, log={"level": "loud"})
    for words in (("check",), ("share", "list"), ("keys", "list")):
        error = said(command(*words, code=console.MISCONFIGURED))
        assert len(error["faults"]) == 2


def test_a_missing_configuration_is_told(tmp_path):
    done = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "none")])
    assert done.exit_code == console.MISCONFIGURED
    assert "cannot be read" in done.output


def test_the_configuration_may_be_named_in_the_environment(tmp_path, storage, monkeypatch):
    file = write(tmp_path, settings(tmp_path, storage.url))
    monkeypatch.setenv("OCM_GATEWAY_CONFIG", str(file))
    assert CliRunner().invoke(app, ["check"]).exit_code == console.DONE


def test_version_is_the_version():
    assert CliRunner().invoke(app, ["version"]).output.strip() == __version__
    assert (
        json.loads(CliRunner().invoke(app, ["version", "--json"]).output)["version"] == __version__
    )


@pytest.mark.parametrize("words", [["no-such"], ["share"], ["share", "create"], ["--no-such"]])
def test_a_wrong_command_line_is_a_usage_error(words):
    assert CliRunner().invoke(app, words).exit_code == console.USAGE


@pytest.mark.parametrize(
    "words", [["no-such"], ["share", "create"], ["share", "list", "--no-such"], ["check", "more"]]
)
def test_a_wrong_command_line_is_told_in_json_where_that_is_asked_for(words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ocm-gateway", *words, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == console.USAGE
    assert said(json.loads(capsys.readouterr().out))["message"]


@pytest.mark.parametrize("more", [["--json"], []])
def test_words_that_are_no_text_are_a_wrong_command_line(more, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ocm-gateway", "share", "show", "\udcff", *more])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == console.USAGE
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["code"] == "MALFORMED" if more else "UTF-8" in told.err


def test_what_a_command_answers_stays_the_same_in_json(tmp_path, storage, monkeypatch, capsys):
    file = write(tmp_path, settings(tmp_path, storage.url))
    for words, code in ((["share", "list"], 0), (["share", "show", "x"], console.NOT_FOUND)):
        monkeypatch.setattr("sys.argv", ["ocm-gateway", *words, "--json", "-c", str(file)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == code
        json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "text", ["", "soon", "²", "+²d", "30d", "+30", "-1", "9" * 30, "+9999999999999999d", "+d", "٣"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(Malformed):
        console.until(text)


def test_times_are_read():
    assert console.until("1800000000") == 1_800_000_000
    assert console.until("2027-01-15T08:00:00Z") == 1_800_000_000
    assert abs(console.until("+2h") - time.time() - 7200) < 60


def test_a_share_is_created_shown_listed_and_revoked(command, peer):
    share = command("share", "create", "-u", "alice", "/letter.txt", f"e@{peer.authority}")
    assert (share["state"], share["owner"], share["path"]) == ("sent", "alice", "/letter.txt")
    assert share["permissions"] == ["read"]
    assert "ecret" not in json.dumps(share)
    assert command("share", "show", share["id"]) == share
    assert command("share", "list") == command("share", "list", "-u", "alice") == [share]
    assert command("share", "list", "-u", "bob") == []
    update = ("share", "update", share["id"])
    changed = command(*update, "-p", "read,write", "--expires", "+30d")
    assert changed["permissions"] == ["read", "write"]
    assert command(*update, "--no-expiry")["expiration"] is None
    assert command("share", "revoke", share["id"])["state"] == "revoked"
    assert command("share", "revoke", share["id"])["state"] == "revoked"
    assert command("outbox", "list") == []


def test_a_refused_share_exits_so_with_its_reason(command, peer):
    peer.on("POST /ocm/shares", Answer(403, {"message": "not you"}))
    share = command(
        "share", "create", "-u", "alice", "letter.txt", f"e@{peer.authority}", code=console.REFUSED
    )
    assert share["state"] == "refused"
    assert "not you" in share["reason"]


def test_an_undelivered_share_waits_in_the_outbox(command, peer):
    peer.on("POST /ocm/shares", Answer(503))
    share = command("share", "create", "-u", "alice", "letter.txt", f"e@{peer.authority}")
    assert share["state"] == "pending"
    [errand] = command("outbox", "list")
    assert (errand["errand"], errand["share"]) == ("SHARE", share["id"])
    assert (errand["attempts"], errand["givenUp"]) == (1, False)
    assert "503" in errand["lastError"]


def test_an_errand_is_retried_and_dropped_with_an_entry_each_by_whom(command, peer):
    peer.on("POST /ocm/shares", Answer(503))
    share = command("share", "create", "-u", "alice", "letter.txt", f"e@{peer.authority}")
    [errand] = command("outbox", "list")
    again = command("outbox", "retry", errand["id"])
    assert (again["done"], again["errand"]["attempts"]) == (False, 2)
    assert command("outbox", "drop", errand["id"])["id"] == errand["id"]
    command("outbox", "drop", errand["id"], code=console.NOT_FOUND)
    dropped, retried = command("audit", "list", "--what", "outbox.")
    assert (retried["what"], dropped["what"]) == ("outbox.retried", "outbox.dropped")
    for entry in (retried, dropped):
        assert entry["who"].startswith("operator ")
        assert (entry["about"], entry["provider"]) == (share["id"], peer.authority)
        assert "503" in entry["reason"]
    assert command("audit", "list", "--what", "outbox.", "--who", "operator nobody") == []


def test_what_did_not_arrive_is_told_again_by_the_id_of_the_share_or_request(command, peer):
    peer.on("POST /ocm/shares", Answer(503))
    peer.on("POST /ocm/request-share", Answer(503))
    there = f"e@{peer.authority}"
    share = command("share", "create", "-u", "alice", "letter.txt", there)["id"]
    asked = command("request", "send", "-u", "alice", there, "42")["id"]
    again = command("share", "retry", share, code=console.TRY_AGAIN)
    assert (again["state"], again["errands"][0]["attempts"]) == ("pending", 2)
    assert command("request", "retry", asked, code=console.TRY_AGAIN)["state"] == "pending"
    peer.on("POST /ocm/shares", Answer(201))
    peer.on("POST /ocm/request-share", Answer(200))
    told = command("share", "retry", share)
    assert (told["state"], told["errands"]) == ("sent", [])
    assert command("request", "retry", asked)["state"] == "sent"
    for words in (("share", "retry", share), ("request", "retry", asked)):
        assert said(command(*words, "-u", "bob", code=console.NOT_FOUND))["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("/letter.txt", "no-address"), console.USAGE),
        (("/letter.txt", "x@far.example", "-p", "fly"), console.USAGE),
        (("/letter.txt", "x@far.example", "-p", "write"), console.USAGE),
        (("/letter.txt", "x@far.example", "--expires", "someday"), console.USAGE),
        (("/letter.txt", "x@far.example", "--expires", "2001-01-01"), console.USAGE),
        (("/../bob", "x@far.example"), console.USAGE),
        (("/missing", "x@far.example"), console.NOT_FOUND),
        (("/letter.txt", "x@denied.example"), console.REFUSED),
    ],
    ids=str,
)
def test_what_cannot_be_shared_exits_with_its_code(tmp_path, storage, words, code):
    command = configured(tmp_path, storage, policy={"default": "allow", "deny": ["denied.example"]})
    said(command("share", "create", "-u", "alice", *words, code=code))
    assert command("share", "list") == []


@pytest.mark.parametrize(
    "words",
    [
        ("share", "create", "-u", "", "/", "e@other.example"),
        ("share", "list", "-u", ""),
        ("invite", "create", "-u", ""),
        ("contact", "add", "-u", "", "e@other.example"),
        ("received", "list", "-u", ""),
        ("news", "mail", "-u", ""),
    ],
)
def test_nobody_is_no_user_and_not_everybody(words):
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "name the user" in done.output) == (console.USAGE, True)


def test_what_is_switched_off_is_refused(command):
    assert said(command("share", "link", "x", code=console.REFUSED))["code"] == "UNSUPPORTED"


def test_a_storage_that_is_down_may_be_tried_again(tmp_path, storage):
    gone = type(storage)("gone", free_port(), storage.root, storage.log, [])
    command = configured(tmp_path, gone)
    words = ("share", "create", "-u", "alice", "/x", "x@far.example")
    said(command(*words, code=console.TRY_AGAIN))


def test_a_state_that_cannot_be_opened_is_told(command, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "instances").write_text("no folder")
    error = said(command("share", "list", code=console.TRY_AGAIN))
    assert "instances" in error["detail"]


def test_a_lost_key_may_be_brought_back(command, tmp_path):
    command("keys", "list")
    (tmp_path / "state" / "secret.key").unlink()
    assert "key file" in said(command("keys", "list", code=console.TRY_AGAIN))["message"]


@pytest.mark.parametrize(
    "words",
    [
        ("share", "show", "x"),
        ("share", "revoke", "x"),
        ("share", "update", "x", "--no-expiry"),
        ("received", "accept", "x"),
        ("received", "decline", "x"),
        ("received", "hide", "x"),
    ],
)
def test_what_is_not_there_is_not_found(command, words):
    assert said(command(*words, code=console.NOT_FOUND))["code"] == "NOT_FOUND"


def test_nothing_received_is_an_empty_list(command):
    assert command("received", "list") == []


def test_the_key_that_signs_is_listed(command):
    keys = command("keys", "list")
    assert {key["algorithm"] for key in keys} == {"ed25519", "rsa-v1_5-sha512"}
    for key in keys:
        assert key["active"] is True
        assert key["kid"] == key["jwk"]["kid"]
        assert not {"d", "p", "q"} & key["jwk"].keys()


def test_a_key_is_replaced_in_three_steps(command):
    old = next(key["kid"] for key in command("keys", "list") if key["algorithm"] == "ed25519")
    new = command("keys", "stage", "--algorithm", "es256")["kid"]
    assert said(command("keys", "retire", old, code=console.REFUSED))["code"] == "CONFLICT"
    assert command("keys", "activate", new)["active"] is True
    assert command("keys", "retire", old)["state"] == "retired"
    said(command("keys", "activate", old, code=console.REFUSED))
    said(command("keys", "activate", "unknown", code=console.NOT_FOUND))
    said(command("keys", "stage", "--algorithm", "dsa", code=console.USAGE))


def test_a_server_is_discovered(command, peer):
    answer = command("discover", peer.authority)
    assert answer["url"] == f"{peer.origin}/.well-known/ocm"
    assert answer["discovery"]["endPoint"] == f"{peer.origin}/ocm"


def test_discovery_exits_with_what_happened(tmp_path, storage):
    command = configured(tmp_path, storage, policy={"default": "allow", "deny": ["denied.example"]})
    said(command("discover", f"127.0.0.1:{free_port()}", code=console.TRY_AGAIN))
    said(command("discover", "denied.example", code=console.REFUSED))
    said(command("discover", "not a host", code=console.USAGE))


@pytest.mark.parametrize(
    "words",
    [("check",), ("share", "list"), ("received", "list"), ("keys", "list"), ("outbox", "list")],
)
def test_people_get_words(tmp_path, storage, words):
    file = write(tmp_path, settings(tmp_path, storage.url))
    done = CliRunner().invoke(app, [*words, "--config", str(file)])
    assert done.exit_code == console.DONE
    assert done.output.strip()
    with contextlib.suppress(json.JSONDecodeError):
        raise AssertionError(f"that is JSON: {json.loads(done.output)}")


def test_people_are_told_what_went_wrong(tmp_path, storage):
    file = write(tmp_path, settings(tmp_path, storage.url))
    done = CliRunner().invoke(app, ["share", "show", "x", "--config", str(file)])
    assert done.exit_code == console.NOT_FOUND
    assert done.stdout == ""
    assert done.stderr == "There is no such share.\n"


def test_the_dialects_of_other_servers_are_shown_and_forgotten(tmp_path, storage, peer):
    command = configured(tmp_path, storage)
    table = command_without_settings("dialects", "table")
    assert {"nextcloud-34", "owncloud-10", "reva"} <= {row["name"] for row in table}
    assert command("dialects", "list") == []
    said(command("dialects", "show", peer.authority, code=console.NOT_FOUND))
    peer.document |= {"apiVersion": "1.0-proposal1", "capabilities": []}
    spoken = command("discover", peer.authority)["dialect"]
    assert (spoken["name"], spoken["source"]) == ("ocm-1.0", "discovery")
    assert spoken["forms"] == ["options", "relative"]
    peer.on("POST /ocm/shares", Answer(501), Answer(201, {}))
    command("share", "create", "-u", "alice", "/letter.txt", f"e@{peer.authority}")
    assert command("discover", peer.authority)["dialect"]["forms"] == ["relative", "options"]
    [lesson] = command("dialects", "list")
    assert (lesson["server"], lesson["form"]) == (peer.authority, "relative")
    assert command("dialects", "show", peer.authority) == lesson
    assert command("dialects", "forget", peer.authority) == lesson
    said(command("dialects", "forget", peer.authority, code=console.NOT_FOUND))


def test_an_exchange_without_a_signature_is_warned_about(tmp_path, storage):
    servers = [{"server": "reva.example", "unsigned_exchange": True}]
    answer = configured(tmp_path, storage, dialects={"servers": servers})("check")
    assert any("reva.example" in warning for warning in answer["warnings"])


def command_without_settings(*words):
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == console.DONE, done.output
    return json.loads(done.stdout)


def test_shares_that_are_over_are_swept_after_a_look(command, peer, tmp_path):
    share = command(
        "share", "create", "-u", "alice", "/letter.txt", f"e@{peer.authority}", "--expires", "+1d"
    )
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "state/gateway.sqlite")) as database,
        database,
    ):
        database.execute("UPDATE sent_shares SET expiration_at = 1")
    look = command("sweep", "--dry-run")
    assert (look["dryRun"], [one["id"] for one in look["sent"]]) == (True, [share["id"]])
    assert command("share", "show", share["id"])["state"] == "sent"
    assert [one["id"] for one in command("sweep")["sent"]] == [share["id"]]
    assert command("share", "show", share["id"])["state"] == "expired"
    nothing = {"sent": [], "received": []}
    again = {
        "dryRun": False,
        "gone": [],
        "given": [],
        "busy": False,
        "forgotten": nothing | {"invites": [], "requests": []},
    }
    assert command("sweep") == again | nothing


def test_the_sessions_of_a_user_are_listed_and_ended(tmp_path, storage):
    file = write(tmp_path, settings(tmp_path, storage.url))
    command = configured(tmp_path, storage)
    now = int(time.time())

    async def log_in():
        async with open_gateway(config.load(file)) as gateway:
            for name, seen_at in (("a", now), ("b", now - 10), ("old", 0)):
                one = Session(name, "alice", "Alice", LoginMethod.PASSWORD, now, seen_at, now + 900)
                await gateway.state.database.write(partial(sessions.add, session=one))

    asyncio.run(log_in())
    found = command("sessions", "list", "-u", "alice")
    assert [one["seenAt"] for one in found] == [now, now - 10]
    assert command("sessions", "list", "-u", "bob") == []
    assert command("sessions", "end", "-u", "bob") == {"ended": 0}
    assert command("sessions", "end", "-u", "alice", found[1]["id"]) == {"ended": 1}
    assert command("sessions", "list", "-u", "alice") == found[:1]
    assert command("sessions", "end", "-u", "alice") == {"ended": 2}
    assert command("sessions", "list", "-u", "alice") == []


def test_what_the_operator_changes_is_in_the_audit_trail(command, tmp_path):
    command("peers", "add", "a.example.org", "--comment", "a partner")
    command("peers", "block", "a.example.org")
    command("peers", "reset", "a.example.org")
    command("peers", "remove", "a.example.org")
    staged = command("keys", "stage")["kid"]
    signs = {one["algorithm"]: one["kid"] for one in command("keys", "list") if one["active"]}
    before = signs["ed25519"]
    command("keys", "activate", staged)
    command("keys", "retire", before, "--compromised")
    (tmp_path / "list.csv").write_text("server,then\nevil.example.org,deny\n")
    command("policy", "import", str(tmp_path / "list.csv"), "--note", "a wave of spam")
    command("policy", "rollback")
    command("sessions", "end", "-u", "alice")
    entries = command("audit", "list")[::-1]
    assert [(one["what"], one["provider"] or one["about"] or one["whom"]) for one in entries] == [
        ("peer.added", "a.example.org"),
        ("peer.blocked", "a.example.org"),
        ("peer.reset", "a.example.org"),
        ("peer.removed", "a.example.org"),
        ("key.staged", staged),
        ("key.active", staged),
        ("key.compromised", before),
        ("list.changed", "1"),
        ("list.changed", "2"),
        ("sessions.ended", entries[-1]["whom"]),
    ]
    assert {one["who"].split()[0] for one in entries} == {"operator"}
    assert [one["reason"] for one in entries if one["what"] == "list.changed"] == [
        "a wave of spam",
        "rollback to 0",
    ]
