"""What a gateway leans on: storage, mail server, directories, policy bundle, OpenID provider."""

import json
import secrets

from multidict import CIMultiDict

from gateway import config
from gateway.dav import backend, headers
from gateway.errors import GatewayError, NotFound, Refused
from gateway.mail import Mail
from gateway.policy.live import Live
from gateway.probes.finding import Broken, Finding, failed, ok, skipped, warning
from gateway.providers.directories import Directories, DirectoryState
from gateway.sharing.credentials import basic
from gateway.sharing.storage import Storage
from gateway.transport import Guarded, server_of

_SECONDS = 15
_DOCUMENT_BYTES = 256 * 1024


async def storage(settings: config.Config, behind: Storage, user: str = "") -> list[Finding]:
    """Whether it is there, which WebDAV it speaks, whether it takes our log-in; and what it does
    for one user, if one is named."""
    try:
        authorization = behind.authorization(user)
    except NotFound:
        if settings.storage.credentials.kind is config.CredentialKind.PER_USER and not user:
            authorization = ""
        else:
            return [
                failed("storage.login", f"{user} has no credentials", "See storage.credentials.")
            ]
    except GatewayError as error:
        return [failed("storage.login", error.explanation, "See storage.credentials.")]
    try:
        found = [await _class(settings, behind, authorization)]
        found.append(await _login(settings, behind, authorization, user))
        return found + (await _home(settings, behind, user) if user else [])
    except Broken as broken:
        return [broken.finding]


async def _class(settings: config.Config, behind: Storage, authorization: str) -> Finding:
    url = settings.storage.url + "/"
    sent: CIMultiDict[str] = headers.authorized(authorization)
    try:
        async with behind.send("OPTIONS", url, headers=sent, idle_seconds=_SECONDS) as reply:
            classes = {one.strip() for one in reply.headers.get("DAV", "").split(",")} - {""}
            status = reply.status
    except GatewayError as error:
        raise Broken(
            "storage",
            f"{url}: {error.explanation}",
            "Does it run, and is storage.url right as seen from this machine?",
        ) from error
    told = f"{url} answers {status}, WebDAV class {', '.join(sorted(classes)) or 'unknown'}"
    if status >= 500:
        raise Broken("storage", told, "Look at the storage's own log.")
    if "2" not in classes and settings.storage.quirks.locks:
        advice = "If it has no locks, say so: storage.quirks.locks: false."
        return warning("storage", told, advice)
    return ok("storage", told)


async def _login(
    settings: config.Config, behind: Storage, authorization: str, user: str
) -> Finding:
    kind = settings.storage.credentials.kind
    if kind is config.CredentialKind.PER_USER and not user:
        return skipped("storage.login", "credentials are per user: name one with --user")
    try:
        found = await backend.stat_url(behind.send, settings.storage.url + "/", authorization)
    except Refused:
        return ok("storage.login", "its root may not be seen; --user looks at somebody's files")
    except GatewayError as error:
        advice = "See storage.credentials, and what the storage's log says of it."
        return failed("storage.login", error.explanation, advice)
    if not found.collection:
        told = "its root is no folder"
        return failed("storage.login", told, "storage.url has to name the root of the tree.")
    return ok("storage.login", f"it takes our credentials ({kind.value})")


async def _home(settings: config.Config, behind: Storage, user: str) -> list[Finding]:
    try:
        found = await behind.stat(user, ())
        if not found.exists:
            advice = "See storage.path: it maps a user to a folder."
            return [failed("storage.user", f"{user} has no folder there", advice)]
        said = [ok("storage.user", f"{user} has a folder there")]
        if settings.users.source is config.UserSource.STORAGE:
            said.append(await _passwords(behind, user))
    except GatewayError as error:
        return [
            failed("storage.user", error.explanation, "See storage.path and the storage's log.")
        ]
    return said


async def _passwords(behind: Storage, user: str) -> Finding:
    if await behind.opens(user, basic(user, secrets.token_urlsafe(24))):
        told = "it lets anybody in with any password, so it cannot say who a user is"
        return failed("storage.passwords", told, "Close it, or use another users.source.")
    return ok("storage.passwords", "it refuses a wrong password")


async def mail(settings: config.Mail) -> Finding:
    """Whether the SMTP server takes our log-in. No mail is sent."""
    if not settings.host:
        return skipped("mail", "mail.host is not set")
    try:
        await Mail(settings).knock()
    except GatewayError as error:
        advice = "See mail.host, port, security and the password; TLS needs a certificate we know."
        return failed("mail", error.explanation, advice)
    return ok("mail", f"{settings.host}:{settings.port} takes us ({settings.security.value})")


async def directories(found: Directories) -> list[Finding]:
    """Whether each Directory Service has a list that holds."""
    states = await found.refresh()
    return [_directory(one) for one in states] or [
        skipped("directories", "directories.services is empty")
    ]


def _directory(state: DirectoryState) -> Finding:
    check = f"directory.{state.name}"
    if state.error:
        advice = "Ask its operator, and compare key_files; the last good list stays in use."
        return failed(check, f"{state.url}: {state.error}", advice)
    told = f"{state.federation or 'no name'}, {len(state.servers)} servers"
    if not state.signed:
        return warning(check, f"{told}, unsigned", "Ask its operator for a signed list.")
    return ok(check, told)


async def bundle(settings: config.Bundle, live: Live) -> Finding:
    """Whether the policy bundle that is followed comes, and holds."""
    if settings.url is None:
        return skipped("bundle", "policy.bundle.url is not set")
    await live.fetch_bundle()
    kept = await live.bundle()
    if kept is None or kept.last_error:
        advice = "Compare policy.bundle.key_file; the last good bundle stays in force."
        said = kept.last_error if kept else "nothing came of it"
        return failed("bundle", f"{settings.url}: {said}", advice)
    return ok("bundle", f"version {kept.version}")


async def oidc(settings: config.Oidc, anywhere: Guarded) -> Finding:
    """Whether the OpenID provider describes itself under the name that we know."""
    if settings.issuer is None:
        return skipped("oidc", "login.oidc.issuer is not set")
    url = f"{settings.issuer}/.well-known/openid-configuration"
    provider = server_of(url)
    try:
        async with anywhere.request(provider, "GET", url, total_seconds=_SECONDS) as answer:
            body = await answer.read(_DOCUMENT_BYTES)
            status = answer.status
    except GatewayError as error:
        return failed("oidc", f"{url}: {error.explanation}", "See login.oidc.issuer.")
    try:
        named = json.loads(body)["issuer"]
    except (ValueError, KeyError, TypeError):
        told = f"{url} answers {status}, and no description"
        return failed("oidc", told, "login.oidc.issuer has to be as the provider writes it.")
    if str(named).rstrip("/") != settings.issuer:
        return failed("oidc", f"it calls itself {named}", "Write login.oidc.issuer exactly so.")
    return ok("oidc", f"{named} describes itself")
