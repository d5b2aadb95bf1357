"""Where the parts of an examination meet: a gateway opened beside the running one, and probes."""

import os
from collections.abc import Awaitable, Callable

from gateway.app import Gateway, open_gateway
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.model import Authority
from gateway.probes import house, public
from gateway.probes.finding import Finding, failed, ok
from gateway.probes.server import Look


async def federation(gateway: Gateway, provider: Authority, *, signed: bool) -> Look:
    """Whether that server and this one could federate, step by step."""
    look = Look(provider, [])
    await gateway.examiner.federation(look, signed=signed)
    return look


async def connections(settings: Config, user: str = "") -> list[Finding]:
    """Whether everything that the gateway leans on can be reached."""
    return await _opened(settings, lambda gateway: _house(gateway, user))


async def doctor(settings: Config, user: str = "") -> list[Finding]:
    """`connections`, and this gateway as others see it."""

    async def work(gateway: Gateway) -> list[Finding]:
        found = await _house(gateway, user)
        async with gateway.examiner.probe() as probe:
            found += await public.outside(gateway.settings, gateway.ours, gateway.ring, probe)
        return found

    return await _opened(settings, work)


async def _opened(
    settings: Config, work: Callable[[Gateway], Awaitable[list[Finding]]]
) -> list[Finding]:
    try:
        async with open_gateway(settings) as gateway:
            return [_database(settings), *await work(gateway)]
    except GatewayError as error:
        advice = (
            "Does the database run, is its password right, is its disk full? "
            if settings.state.shared
            else "May this user read and write state.folder, is its disk full? "
        )
        advice += "The key file has to be the one it was made with."
        return [failed("database", error.explanation, advice)]


def _database(settings: Config) -> Finding:
    if settings.state.shared:
        return ok("database", "PostgreSQL takes us, its tables are those of this version")
    size = os.stat(settings.state.database_file).st_size // 1024  # noqa: PTH116 - one call
    return ok("database", f"{settings.state.database_file}, {size} KiB, writable")


async def _house(gateway: Gateway, user: str) -> list[Finding]:
    settings = gateway.settings
    return [
        *await house.storage(settings, gateway.storage, user),
        await house.mail(settings.mail),
        *await house.directories(gateway.directories),
        await house.bundle(settings.policy.bundle, gateway.live),
        await house.oidc(settings.login.oidc, gateway.anywhere),
    ]
