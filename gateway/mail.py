"""Mail to people outside, by the operator's SMTP server (RFC 5321): one message, one recipient."""

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

import aiosmtplib

from gateway import config
from gateway.errors import GatewayError, Malformed, Refused, Unavailable, Unsupported
from gateway.logs import event

_LONGEST_ADDRESS = 254
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Letter:
    """What is mailed. `reply_to` may be ""."""

    to: str
    subject: str
    text: str = field(repr=False)
    reply_to: str = ""


class Mail:
    """The operator's SMTP server, if there is one."""

    def __init__(self, settings: config.Mail) -> None:
        self._settings = settings

    @property
    def on(self) -> bool:
        """Whether mail can be sent at all."""
        return bool(self._settings.host)

    async def send(self, letter: Letter) -> None:
        """Hand a letter over; the SMTP server has it when this returns.

        Raises Unsupported where no mail is configured, Malformed for what is no address, Refused
        when the server does not take it, and Unavailable when that may pass.
        """
        if not self.on:
            raise Unsupported("mail is not configured")
        message = self._message(letter)
        settings = self._settings
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.host,
                port=settings.port,
                username=settings.username or None,
                password=_password(settings.password_file),
                use_tls=settings.security is config.MailSecurity.TLS,
                start_tls=settings.security is config.MailSecurity.STARTTLS,
                timeout=settings.seconds,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            failure = _failure(error)
            event("mail.failed", level="warning", error=failure.explanation)
            raise failure from error
        event("mail.sent")

    async def knock(self) -> None:
        """Connect and log in as for a letter, and send none. Raises Unavailable, Unsupported."""
        if not self.on:
            raise Unsupported("mail is not configured")
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.security is config.MailSecurity.TLS,
            start_tls=settings.security is config.MailSecurity.STARTTLS,
            timeout=settings.seconds,
        )
        try:
            async with client:
                if settings.username:
                    password = _password(settings.password_file) or ""
                    await client.login(settings.username, password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"
            raise Unavailable("the mail server does not take us", detail=detail) from error

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = address(letter.to)
        if letter.reply_to:
            message["Reply-To"] = address(letter.reply_to)
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = make_msgid(domain=self._settings.sender.rpartition("@")[2])
        # RFC 3834: no holiday notices in return.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message


def address(text: str) -> str:
    """One mail address, as it is. Raises Malformed; display names and lists are none."""
    if len(text) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(text):
        raise Malformed("that is not a mail address")
    return text


def _password(file: Path | None) -> str | None:
    return file.read_text(encoding="utf-8").strip() if file else None


def _failure(error: Exception) -> GatewayError:
    """A 5xx to the recipient or the message is final; all else may pass."""
    detail = f"{type(error).__name__}: {error}"
    refused = error
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        refused = error.recipients[0]
    code = refused.code if isinstance(refused, aiosmtplib.SMTPResponseException) else 0
    if 500 <= code < 600 and not isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Refused("the mail server did not take the message", detail=detail)
    return Unavailable("the mail cannot be sent just now", detail=detail, retry_after=60)
