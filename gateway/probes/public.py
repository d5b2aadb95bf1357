"""This gateway as others see it: through its public name, its TLS, the proxy in front of it."""

from dataclasses import replace

from gateway.config import Config
from gateway.errors import Malformed
from gateway.ocm import discovery
from gateway.probes.finding import Finding, failed, first_failure, ok, warning
from gateway.probes.server import Look, Page, ServerProbe
from gateway.providers.ring import Ring
from gateway.sharing.ours import JWKS_PATH, Ours

_LEGACY = "/ocm-provider"
_ENCODED = "/-/a%2Fb%25c"
_METRICS = b"ocm_build_info"


async def outside(settings: Config, ours: Ours, ring: Ring, probe: ServerProbe) -> list[Finding]:
    """Walk to our own public origin as another server would."""
    look = await probe.look(Look(ours.authority, []))
    found = [replace(one, check=f"public.{one.check}") for one in look.findings]
    if broken := first_failure(found):
        advice = "Does the gateway run, and does the web server in front pass everything on?"
        found[found.index(broken)] = replace(broken, advice=f"{broken.advice} {advice}")
        return found
    found.append(_identity(look, ours))
    found.append(_keys(look, ring))
    pages = {
        path: await probe.fetch(ours.authority, ours.origin + path)
        for path in (_LEGACY, JWKS_PATH, f"/{'/'.join(ours.shares)}{_ENCODED}", "/metrics")
    }
    legacy, _, encoded, metrics = pages.values()
    found.append(_older(legacy, ours))
    found.append(_passes(encoded))
    found.append(_closed(metrics))
    found.append(_addresses(settings))
    return found


def _identity(look: Look, ours: Ours) -> Finding:
    assert look.document is not None
    said = look.document.end_point
    if said != ours.end_point:
        return failed(
            "public.identity",
            f"{ours.origin} says that its endPoint is {said}, and ours is {ours.end_point}",
            "Another server answers under this name, or runs with another configuration.",
        )
    return ok("public.identity", f"{ours.origin} is this gateway")


def _keys(look: Look, ring: Ring) -> Finding:
    seen = {key.thumbprint for key in look.keys}
    wanted = {key.verification_key().thumbprint for key in ring.published}
    if seen != wanted:
        return failed(
            "public.published",
            "the keys seen outside are not those of this gateway",
            "A cache in front keeps an old key set, or another gateway with another state answers.",
        )
    return ok("public.published", f"{len(wanted)} of ours, as others have to see them")


def _older(page: Page, ours: Ours) -> Finding:
    try:
        same = discovery.parse(page.body, asked_at=ours.origin).end_point == ours.end_point
    except Malformed:
        same = False
    if page.status != 200 or not same:
        told = f"{page.said}, and should have the discovery document"
        advice = "Older servers ask there alone: the web server in front has to pass it on."
        return warning("public.legacy", told, advice)
    return ok("public.legacy", "older servers find us too")


def _passes(page: Page) -> Finding:
    if not page.ours:
        return failed(
            "public.proxy",
            f"a path with %2F and %25 does not come through: {page.said}",
            "The web server in front must pass paths on as they come (Apache: AllowEncodedSlashes "
            "NoDecode and nocanon; nginx: no URI in proxy_pass).",
        )
    return ok("public.proxy", "paths come through as they are")


def _closed(page: Page) -> Finding:
    if _METRICS in page.body:
        told = f"{page.url} shows the management listener to the world"
        return failed("public.management", told, "Pass nothing on to management.listen.")
    return ok("public.management", "the management listener is not seen from outside")


def _addresses(settings: Config) -> Finding:
    if settings.public.trusted_proxies:
        return ok("public.addresses", "callers behind the proxy are told apart")
    if settings.public.origin.startswith("http://"):
        return ok("public.addresses", "no proxy is expected in front")
    return warning(
        "public.addresses",
        "public.trusted_proxies is empty: behind a proxy all callers look like one",
        "Name the address of the proxy in front, so that limits and logs know who calls.",
    )
