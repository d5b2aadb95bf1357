"""Whether two servers would deal with each other: our policy, and its mind on our signature."""

import secrets

from gateway.errors import GatewayError, Malformed
from gateway.model import Standing
from gateway.ocm import json
from gateway.ocm.tokens import FORM, TokenRequest, encode_request
from gateway.policy.facts import Outcome
from gateway.probes.finding import Finding, failed, ok, skipped, warning
from gateway.probes.server import Look
from gateway.providers.client import Reply
from gateway.sharing.others import Others, spoken
from gateway.sharing.ours import Ours


def policy(look: Look, others: Others, *, approval: bool) -> Finding:
    """What our policy says of the server, as far as nothing else is known."""
    provider = look.provider
    verdict = others.doorkeeper.judge(provider)
    if verdict.outcome is Outcome.DENY:
        advice = (
            f"`ocm-gateway policy what-if discover {provider}` shows the rules that were tried."
        )
        return failed("policy", verdict.reason, advice)
    if approval and others.registry.standing(provider) is not Standing.APPROVED:
        advice = f"`ocm-gateway peers approve {provider}` lets it in (trust.approval)."
        return warning("policy", "it is not approved yet", advice)
    if verdict.outcome is not Outcome.ALLOW:
        return warning("policy", verdict.reason, "What comes from it waits to be looked at.")
    return ok("policy", verdict.reason)


async def signature(look: Look, others: Others, ours: Ours) -> Finding:
    """Whether the server takes our signature, tried with a signed token request for a code that
    does not exist (draft 03, 14.3): it tells a wrong code from a wrong signature."""
    if look.found is None:
        return skipped("signature", "its document comes first")
    document = look.found.document
    if not document.token_end_point:
        return skipped("signature", "it has no token endpoint to try it at")
    request = TokenRequest(ours.authority, secrets.token_urlsafe(24))
    try:
        others.discoveries.take(look.provider, look.found)
        reply = await others.client.post(
            look.provider,
            document.token_end_point,
            encode_request(request),
            content_type=FORM,
            purpose="token",
        )
    except GatewayError as error:
        return failed("signature", error.explanation, "Its token endpoint has to answer.")
    return _judged(reply, ours)


def _judged(reply: Reply, ours: Ours) -> Finding:
    code = f"{reply.status} {_code(reply.body)}".rstrip()
    said = f"it answered {code}"
    if reply.status == 400 and _code(reply.body) == "invalid_grant":
        return ok("signature", "it takes our signature, and says rightly that the code is unknown")
    if reply.status in (400, 401, 403):
        return failed(
            "signature",
            f"it does not take our signed request: {said}",
            f"Can it reach {ours.origin}/.well-known/jwks.json, and is your clock right? "
            "`ocm-gateway doctor` looks. Or it does not federate with you.",
        )
    return warning(
        "signature", f"nobody can say: {said}", "Its token endpoint is not as specified."
    )


def _code(body: bytes) -> str:
    try:
        error = json.load_object(body).get("error")
    except Malformed:
        return ""
    return error[:60] if isinstance(error, str) and error else spoken(body)
