"""Name, connection, TLS: what lies below HTTP, each apart. The address guard holds here too."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.probes.finding import Broken, Finding, ok, warning

SECONDS = 10
_SOON_DAYS = 14
_VERIFY_EXPIRED = 10
_VERIFY_SELF_SIGNED = (18, 19)
_VERIFY_NO_ISSUER = (20, 21)
_VERIFY_NAME = (62, 64)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is reached: its host as named, the port, and an address that answers."""

    host: str
    port: int
    address: str


async def resolve(
    host: str, port: int, *, reaches: Callable[[str], bool]
) -> tuple[Finding, list[str]]:
    """The addresses of a host that may be connected to, by `reaches`. Raises Broken."""
    try:
        async with asyncio.timeout(SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise Broken(
            "dns",
            f"{host} has no address: {_said(error)}",
            "Check the spelling, and the name at your resolver: `getent hosts` shows what it says.",
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    good = [one for one in addresses if reaches(one)]
    listed = ", ".join(addresses)
    if not good:
        raise Broken(
            "dns",
            f"{host} is {listed}: no address of the public internet, so nothing is sent there",
            "Its name has to lead to a public address, as seen from this machine. If it is meant "
            "to be reached at a private one, write a route (outbound.routes).",
        )
    if len(good) < len(addresses):
        told = f"{host} is {listed}; those of private networks are not used"
        return warning("dns", told, "Its operator should publish public addresses only."), good
    return ok("dns", f"{host} leads to {listed}"), good


async def connect(host: str, port: int, addresses: list[str]) -> tuple[Finding, Place]:
    """Connect to the first address that takes it. Raises Broken when none does."""
    refusals = []
    for address in addresses:
        try:
            async with asyncio.timeout(SECONDS):
                _, writer = await asyncio.open_connection(address, port)
        except OSError as error:
            refusals.append(f"{address}: {_said(error)}")
            continue
        await _close(writer)
        place = Place(host, port, address)
        if refusals:
            told = f"port {port} of {address} is open; but {'; '.join(refusals)}"
            return warning("tcp", told, "Clients may try the dead address first and wait."), place
        return ok("tcp", f"port {port} of {address} is open"), place
    raise Broken(
        "tcp",
        f"port {port} does not answer: {'; '.join(refusals)}",
        "Refused: nothing listens there. No answer in time: a firewall, on either side, or a "
        "wrong address.",
    )


async def handshake(place: Place) -> Finding:
    """Speak TLS and look at the certificate. Raises Broken."""
    try:
        certificate, version = await _greet(place, ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        raise await _disbelieved(place, error) from error
    except ssl.SSLError as error:
        raise Broken(
            "tls",
            f"port {place.port} does not speak TLS as we do: {error.reason or error}",
            "Is it the right port, and does it speak https? TLS 1.2 or newer is needed.",
        ) from error
    except OSError as error:
        raise Broken(
            "tls",
            f"the connection ended during the TLS handshake: {_said(error)}",
            "A load balancer without a certificate for this name, or a filter on the way.",
        ) from error
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    told = f"{version}, certificate by {_issuer(certificate)}, good for {days} more days"
    if days < _SOON_DAYS:
        return warning("tls", told, "Renew the certificate, and see why that was not automatic.")
    return ok("tls", told)


async def certificate_end(host: str, port: int) -> int:
    """When the certificate ends that is shown there, believed or not. Raises OSError."""
    certificate, _ = await _greet(Place(host, port, host), _unchecked())
    return int(certificate.not_valid_after_utc.timestamp())


async def _disbelieved(place: Place, error: ssl.SSLCertVerificationError) -> Broken:
    code, advice = error.verify_code, "Its operator has to mend the certificate."
    if code == _VERIFY_EXPIRED:
        advice = "The certificate has to be renewed; check that this machine's clock is right, too."
    elif code in _VERIFY_SELF_SIGNED:
        advice = "It needs a certificate of an authority that this machine knows."
    elif code in _VERIFY_NO_ISSUER:
        advice = (
            "The server must send the intermediate certificates too (fullchain), or its authority "
            "is missing in this machine's trust store."
        )
    elif code in _VERIFY_NAME:
        advice = f"The certificate has to name {place.host}."
    seen = ""
    with suppress(OSError, ValueError):
        certificate, _ = await _greet(place, _unchecked())
        until = certificate.not_valid_after_utc.date().isoformat()
        names = ", ".join(_names(certificate)) or "no name"
        seen = f"it is for {names}, by {_issuer(certificate)}, until {until}"
    told = "; ".join([error.verify_message, *([seen] if seen else [])])
    return Broken("tls", f"the certificate is not believed: {told}", advice)


def _unchecked() -> ssl.SSLContext:
    """Takes any certificate: only to say what it is, nothing is sent."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    return unchecked


async def _greet(place: Place, context: ssl.SSLContext) -> tuple[x509.Certificate, str]:
    async with asyncio.timeout(SECONDS):
        _, writer = await asyncio.open_connection(
            place.address, place.port, ssl=context, server_hostname=place.host
        )
    channel = writer.get_extra_info("ssl_object")
    octets, version = channel.getpeercert(binary_form=True), channel.version()
    await _close(writer)
    return x509.load_der_x509_certificate(octets), version


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(getattr(name, "value", name)) for name in held][:5]


def _issuer(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        if found := certificate.issuer.get_attributes_for_oid(oid):
            return str(found[0].value)
    return "nobody"


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {SECONDS} seconds"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text names the address once more
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
