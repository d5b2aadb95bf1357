"""Mail over a real SMTP server: with TLS and a login, and what happens when it says no."""

import asyncio
import ssl
from contextlib import contextmanager
from email import message_from_bytes, policy

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import ValidationError

from gateway import config
from gateway.errors import Malformed, Refused, Unavailable, Unsupported
from gateway.mail import Letter, Mail, address
from tests.servers import free_port

LETTER = Letter("bob@example.org", "Grüße\nof a\r\nkind", "Hello Böb,\n.\nbye\n", "alice@x.example")


class Postbox:
    """Takes mail in, or answers as it is told."""

    def __init__(self, answer=None):
        self.answer = answer
        self.letters = []

    async def handle_RCPT(self, server, session, envelope, to, options):
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.letters.append((session.ssl is not None, session.auth_data, envelope))
        return "250 OK"


@contextmanager
def smtp(answer=None, **options):
    box = Postbox(answer)
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def mail(port, **changes):
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "ocm@x.example"}
    return Mail(config.Mail.model_validate(settings | changes))


async def test_a_letter_arrives_as_it_was_written():
    with smtp() as (box, port):
        await mail(port).send(LETTER)
    [(_, _, envelope)] = box.letters
    assert envelope.rcpt_tos == ["bob@example.org"]
    assert envelope.mail_from == "ocm@x.example"
    text = envelope.content.decode()
    assert "Reply-To: alice@x.example" in text
    assert "Auto-Submitted: auto-generated" in text
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["Subject"] == "Grüße of a kind"
    assert message.get_content() == "Hello Böb,\r\n.\r\nbye\r\n"


async def test_starttls_and_the_login_are_used(tmp_path, monkeypatch):
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    password = tmp_path / "password"
    password.write_text("secret\n")
    seen = []

    def login(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"secret", auth_data=data.login)

    options = {
        "tls_context": server,
        "require_starttls": True,
        "authenticator": login,
        "auth_required": True,
    }
    with smtp(**options) as (box, port):
        changes = {"host": "localhost", "security": "starttls", "username": "gateway"}
        await mail(port, password_file=str(password), **changes).send(LETTER)
        assert box.letters[0][0]
        assert seen == [(b"gateway", b"secret")]
        password.write_text("wrong")
        with pytest.raises(Unavailable) as failed:
            await mail(port, password_file=str(password), **changes).send(LETTER)
        assert "wrong" not in failed.value.explanation
    monkeypatch.delenv("SSL_CERT_FILE")
    with smtp(tls_context=server) as (box, port), pytest.raises(Unavailable):
        await mail(port, host="localhost", security="starttls").send(LETTER)
    assert box.letters == []


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for():
    with smtp() as (box, port):
        for security in ("starttls", "tls"):
            with pytest.raises(Unavailable):
                await mail(port, security=security, seconds=2).send(LETTER)
    assert box.letters == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 no such user", Refused), ("450 later", Unavailable), ("421 bye", Unavailable)],
)
async def test_a_no_is_final_or_may_pass_as_the_server_says(answer, error):
    with smtp(answer) as (_, port), pytest.raises(error):
        await mail(port).send(LETTER)


async def test_a_server_that_is_not_there_or_says_nothing_may_come_back():
    with pytest.raises(Unavailable):
        await mail(free_port()).send(LETTER)

    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable):
            await mail(port, seconds=1).send(LETTER)


async def test_without_a_server_there_is_no_mail():
    assert not Mail(config.Mail()).on
    with pytest.raises(Unsupported):
        await Mail(config.Mail()).send(LETTER)


@pytest.mark.parametrize(
    "text",
    [
        "", "bob", "@x.example", "bob@", "bob@x.example\nBcc: eve@x.example", "a@b, c@d",
        "Bob <bob@x.example>", "bob@x..example", "b ob@x.example", "bob@x.example>",
        "a" * 65 + "@x.example", "bob@" + "x" * 260,
    ],
)  # fmt: skip
def test_only_one_plain_address_is_one(text):
    with pytest.raises(Malformed):
        address(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "mail.example"},
        {"host": "mail.example", "sender": "nobody"},
        {"host": "mail.example", "sender": "a@b.example", "username": "u"},
        {"host": "mail.example", "sender": "a@b.example", "username": "u", "password_file": "/no"},
    ],
)
def test_a_half_configured_server_is_told(changes):
    with pytest.raises(ValidationError):
        config.Mail.model_validate(changes)
