"""Where it breaks is told apart, from the name down to the signature, and what to do about it."""

import contextlib
import datetime
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from typer.testing import CliRunner

from gateway import config, examining
from gateway.cli import examined
from gateway.cli.main import app
from gateway.probes import network
from gateway.probes.finding import Broken, Result
from tests import servers
from tests.pair import in_process, settings, write
from tests.peer import Answer, open_peer
from tests.servers import free_port


@pytest.fixture(autouse=True)
def _own_log():
    """The commands set up the log for their process, which is ours here."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with servers.wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        yield storage


@pytest.fixture
async def gateway(tmp_path, storage):
    testing = {"hosts": ["127.0.0.1"]}
    async with in_process(tmp_path / "a", storage, testing=testing) as gateway:
        yield gateway


def results(findings):
    return {one.check: one.result.value for one in findings}


async def look(gateway, host, *, signed=True):
    return (await examining.federation(gateway, host, signed=signed)).findings


async def broken(gateway, host):
    """The one thing that failed: its name, and what is said of it."""
    found = await look(gateway, host)
    [one] = [one for one in found if one.result is Result.FAILED]
    assert one.advice
    return one.check, one.message


async def test_a_good_server_passes_every_step(gateway):
    async with open_peer() as peer:
        peer.on("POST /ocm/token", Answer(400, {"error": "invalid_grant"}))
        found = await look(gateway, peer.authority)
        expected = {"dns", "tcp", "http", "clock", "json", "keys", "policy", "signature"}
        assert {one.check for one in found if one.result is Result.OK} == expected
        assert examined.code(found) == 0
        [request] = peer.requests("POST /ocm/token")
        assert "Signature" in request.headers


async def test_nothing_is_asked_twice(gateway):
    async with open_peer() as peer:
        peer.on("POST /ocm/token", Answer(400, {"error": "invalid_grant"}))
        await look(gateway, peer.authority)
        asked = [f"{one.method} {one.path}" for one in peer.seen]
        assert sorted(asked) == [
            "GET /.well-known/jwks.json",
            "GET /.well-known/ocm",
            "POST /ocm/token",
        ]


async def test_without_signed_only_anonymous_gets_are_sent(gateway):
    async with open_peer() as peer:
        found = await look(gateway, peer.authority, signed=False)
        assert results(found)["signature"] == "skipped"
        assert {one.method for one in peer.seen} == {"GET"}
        assert not [one for one in peer.seen if "Signature" in one.headers]


async def test_a_name_without_an_address_breaks_at_dns(gateway):
    check, _ = await broken(gateway, "nothing.invalid")
    assert check == "dns"


async def test_a_private_address_is_not_connected_to(gateway):
    check, said = await broken(gateway, "10.1.2.3")
    assert check == "dns"
    assert "public internet" in said


async def test_a_closed_port_breaks_at_tcp(gateway):
    found = await look(gateway, f"127.0.0.1:{free_port()}")
    assert results(found)["tcp"] == "failed"
    assert results(found)["keys"] == "skipped"
    assert examined.code(found) == 6
    assert examined.described(found)["failedAt"] == "tcp"


@pytest.mark.parametrize(
    ("answer", "check", "said"),
    [
        (Answer(404), "http", "404"),
        (Answer(401), "http", "401"),
        (Answer(503), "http", "503"),
        (
            Answer(body=b"<html>log in</html>", headers={"Content-Type": "text/html"}),
            "json",
            "html",
        ),
        (Answer(body={"enabled": False, "endPoint": "https://a.example/ocm"}), "json", ""),
    ],
)
async def test_a_server_without_a_document_breaks_where_it_does(gateway, answer, check, said):
    async with open_peer() as peer:
        peer.on("GET /.well-known/ocm", answer)
        found = await broken(gateway, peer.authority)
        assert found[0] == check
        assert said in found[1]


async def test_the_older_address_alone_is_a_warning(gateway):
    async with open_peer() as peer:
        peer.on("GET /.well-known/ocm", Answer(404))
        peer.on("GET /ocm-provider", Answer(body=peer.document))
        assert results(await look(gateway, peer.authority))["http"] == "warning"


async def test_missing_keys_break_at_keys_where_the_server_says_that_it_signs(gateway):
    async with open_peer() as peer:
        peer.on("GET /.well-known/jwks.json", Answer(404))
        assert (await broken(gateway, peer.authority))[0] == "keys"
        peer.document["capabilities"] = ["notifications"]
        assert results(await look(gateway, peer.authority))["keys"] == "warning"


async def test_a_clock_that_is_off_is_told(gateway):
    async with open_peer() as peer:
        late = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
        peer.on("GET /.well-known/ocm", Answer(body=peer.document, headers=late))
        found = await look(gateway, peer.authority)
        assert results(found)["clock"] == "failed"
        assert examined.code(found) == 4


async def test_a_signature_that_is_not_taken_is_told(gateway):
    async with open_peer() as peer:
        peer.on("POST /ocm/token", Answer(401, {"error": "invalid_client"}))
        check, said = await broken(gateway, peer.authority)
        assert check == "signature"
        assert "invalid_client" in said


async def test_two_gateways_take_each_others_signatures(gateway, tmp_path, storage):
    async with in_process(tmp_path / "b", storage) as other:
        found = await look(gateway, other.ours.authority)
        assert results(found)["signature"] == "ok", found


async def test_a_denied_server_is_told_from_a_broken_one_and_sent_nothing_signed(tmp_path, storage):
    async with open_peer() as peer:
        policy = {"default": "allow", "deny": [peer.authority]}
        async with in_process(tmp_path / "a", storage, policy=policy) as gateway:
            found = await look(gateway, peer.authority)
            assert results(found)["policy"] == "failed"
            assert results(found)["keys"] == "ok"
            assert results(found)["signature"] == "skipped"
            assert examined.code(found) == 4


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def https(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def authority(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return authority


async def greet(host):
    port = int(host.rpartition(":")[2])
    return await network.handshake(network.Place("127.0.0.1", port, "127.0.0.1"))


async def test_a_good_certificate_is_described(authority, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with https(authority.issue_cert("127.0.0.1")) as host:
        found = await greet(host)
        assert found.result is Result.OK
        assert "certificate by trustme" in found.message
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    with https(authority.issue_cert("127.0.0.1", not_after=soon)) as host:
        assert (await greet(host)).result is Result.WARNING


@pytest.mark.parametrize(
    ("name", "known", "days", "said", "advice"),
    [
        ("127.0.0.1", False, 9, "by trustme", "trust store"),
        ("other.example", True, 9, "it is for other.example, by trustme", "name 127.0.0.1"),
        ("127.0.0.1", True, -1, "expired", "renewed"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_said(
    authority, tmp_path, monkeypatch, name, known, days, said, advice
):
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = authority.issue_cert(name, not_after=until)
    with https(certificate) as host, pytest.raises(Broken) as broken:
        await greet(host)
    assert broken.value.finding.check == "tls"
    assert said in broken.value.finding.message
    assert advice in broken.value.finding.advice


async def test_a_server_that_speaks_plain_http_is_none(gateway):
    async with open_peer() as peer:
        with pytest.raises(Broken) as broken:
            await greet(peer.authority)
        assert "does not speak TLS" in broken.value.finding.message


async def test_the_doctor_finds_a_gateway_that_is_well_and_looks_from_outside(gateway):
    found = await examining.doctor(gateway.settings, "alice")
    assert [one for one in found if one.result is Result.FAILED] == []
    told = results(found)
    for check in (
        "database",
        "storage",
        "storage.login",
        "storage.user",
        "storage.passwords",
        "public.identity",
        "public.keys",
        "public.published",
        "public.legacy",
        "public.proxy",
        "public.management",
    ):
        assert told[check] == "ok", check


async def test_the_doctor_sees_that_another_gateway_answers_under_our_name(
    gateway, tmp_path, storage
):
    data = settings(tmp_path / "b", storage.url, testing={"hosts": ["127.0.0.1"]})
    data["public"] = {"origin": gateway.ours.origin, "paths": {"ocm": "/else/ocm"}}
    data["state"] = {"folder": str(tmp_path / "b")}
    told = results(await examining.doctor(config.parse(data)))
    assert told["public.identity"] == "failed"
    assert told["public.published"] == "failed"


async def test_a_storage_that_is_gone_or_refuses_us_is_told(tmp_path, storage):
    data = settings(tmp_path, storage.url, state={"folder": str(tmp_path / "state")})
    data["storage"]["credentials"]["password"] = "wrong"
    told = results(await examining.connections(config.parse(data)))
    assert told["storage.login"] == "failed"
    data["storage"]["url"] = f"http://127.0.0.1:{free_port()}"
    found = await examining.connections(config.parse(data))
    assert results(found)["storage"] == "failed"
    assert examined.code(found) == 6


async def test_a_database_that_cannot_be_opened_is_told(tmp_path, storage):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "gateway.sqlite").write_bytes(b"no database" * 1000)
    data = settings(tmp_path, storage.url, state={"folder": str(folder)})
    [found] = await examining.connections(config.parse(data))
    assert found.check == "database"
    assert found.result is Result.FAILED


class Closed:
    """Somebody who knows nobody's password."""

    def __call__(self, server, session, envelope, mechanism, data):
        return AuthResult(success=False, handled=False)


@pytest.mark.parametrize(("password", "result"), [("", "ok"), ("wrong", "failed")])
async def test_the_mail_server_is_asked_and_sent_nothing(tmp_path, storage, password, result):
    sink = Controller(
        object(), "127.0.0.1", free_port(), authenticator=Closed(), auth_require_tls=False
    )
    sink.start()
    mail = {
        "host": "127.0.0.1",
        "port": sink.port,
        "security": "none",
        "sender": "gateway@example.org",
    }
    if password:
        (tmp_path / "word").write_text(password)
        mail |= {"username": "gateway", "password_file": str(tmp_path / "word")}
    data = settings(tmp_path, storage.url, mail=mail, state={"folder": str(tmp_path / "state")})
    try:
        found = await examining.connections(config.parse(data))
    finally:
        sink.stop()
    [told] = [one for one in found if one.check == "mail"]
    assert told.result.value == result
    assert result == "ok" or "SMTPAuthenticationError" in told.message, told


@pytest.mark.parametrize("words", [("check", "--connect"), ("doctor",)])
def test_the_commands_answer_in_words_and_json_and_exit_by_what_was_found(tmp_path, storage, words):
    file = str(write(tmp_path, settings(tmp_path, storage.url)))
    told = CliRunner().invoke(app, [*words, "--json", "--config", file])
    answer = json.loads(told.stdout)
    assert {one["check"] for one in answer["findings"]} >= {"database", "storage.login"}
    # Nothing listens at the public origin: the doctor sees that, and check does not look.
    assert answer["failedAt"] == (None if "check" in words else "public.tcp")
    assert told.exit_code == (0 if "check" in words else 6)
    words = CliRunner().invoke(app, [*words, "--config", file])
    assert "storage.login" in words.stdout
    assert ("->" in words.stdout) == ("FAIL" in words.stdout)


def test_federation_check_is_a_command(tmp_path, storage):
    file = str(write(tmp_path, settings(tmp_path, storage.url)))
    words = ["federation", "check", f"127.0.0.1:{free_port()}", "--config", file]
    told = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(told.stdout)["failedAt"] == "tcp"
    assert told.exit_code == 6
    assert "FAIL  tcp" in CliRunner().invoke(app, words).stdout
    bad = CliRunner().invoke(app, ["federation", "check", "https://x/", "--config", file])
    assert bad.exit_code == 2
