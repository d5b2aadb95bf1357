"""How a Share is announced to its Receiving Server: which forms may be tried, and what it said.

A wrong guess must cost nothing. A server that refuses a form with 400 or 501 has kept nothing, so
the next form follows, once. After any other outcome (a timeout, a broken connection, a 5xx) it may
have kept the Share, and only the same form with the same id is ever sent again. The form is
recorded before it is sent, for the attempts after a crash.
"""

from dataclasses import dataclass

from gateway.errors import ProviderRefused
from gateway.model import SentShare, ShareType
from gateway.ocm import announcements
from gateway.ocm.announcements import OLD_FORMS
from gateway.ocm.dialects import OTHER_FORM, Form, Scheme
from gateway.ocm.discovery import Discovery
from gateway.ocm.shares import MUST_EXCHANGE_TOKEN, MUST_USE_MFA, NewShare, WebDav
from gateway.providers.client import Reply
from gateway.providers.dialects import Speech
from gateway.sharing.others import Others, expect_success, spoken
from gateway.sharing.ours import Ours

_MOST_FORMS = 2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One form of a Share, and what it settles: whether its secret must be exchanged for a token,
    and whether the Receiving Server will come to the WebDAV root without the id."""

    form: Form
    must_exchange_token: bool
    at_root: bool


def expect_fit(share: SentShare, discovery: Discovery, speech: Speech) -> None:
    """ProviderRefused when the Receiving Server says beforehand that it will not take the Share."""
    claimed = "file" if speech.dialect.claims_files else share.resource_type
    if share.share_type is ShareType.GROUP and not discovery.offers(claimed, share.share_type):
        raise ProviderRefused(f"{share.receiving_server} does not take shares with groups")
    if not discovery.offers(claimed, share.share_type):
        raise ProviderRefused(f"{share.receiving_server} does not take shares of this kind")
    if share.must_use_mfa and not discovery.enforces_mfa:
        raise ProviderRefused(
            f"{share.receiving_server} does not ask for several factors, which this share demands"
        )


def attempts(
    share: SentShare, discovery: Discovery, speech: Speech, *, legacy: bool, unsigned: bool
) -> tuple[Attempt, ...]:
    """The forms that may be tried, in order.

    `legacy` says that the operator lets this server have Shares which the secret alone opens,
    `unsigned` that its token requests are taken without a signature. Raises ProviderRefused when
    no form is left.
    """
    forms = (Form(share.form),) if share.form else speech.forms
    demanded = discovery.wants_exchange or share.must_exchange_token is True
    if share.share_type is ShareType.GROUP:
        forms = tuple(form for form in forms if form is not Form.OCS)  # which has users only
    if not legacy or demanded or share.must_use_mfa:
        forms = tuple(form for form in forms if form not in OLD_FORMS)
    if not forms and demanded:
        raise ProviderRefused(
            f"{share.receiving_server} cannot exchange tokens, which this share demands"
        )
    if not forms:
        raise ProviderRefused(
            f"{share.receiving_server} ({speech.dialect.title}) knows only shares that the secret"
            " alone opens, which sharing.legacy_access does not allow here"
        )
    exchanges = discovery.exchanges_tokens and speech.dialect.exchanges
    if speech.dialect.scheme is Scheme.NONE and not discovery.signs:
        exchanges = exchanges and unsigned  # else its requests would all be refused
    return tuple(
        _attempt(share, discovery, speech, form, exchanges=exchanges)
        for form in forms[:_MOST_FORMS]
    )


def _attempt(
    share: SentShare, discovery: Discovery, speech: Speech, form: Form, *, exchanges: bool
) -> Attempt:
    old = form in OLD_FORMS
    must = not old and _settle_exchange(share, discovery, exchanges=exchanges)
    return Attempt(form, must, at_root=old or speech.dialect.at_root)


def _settle_exchange(share: SentShare, discovery: Discovery, *, exchanges: bool) -> bool:
    """Whether the Share requires must-exchange-token: as its owner said, else wherever possible."""
    if discovery.wants_exchange:  # then it can do its part, whether it hosts an endpoint or not
        return True
    if exchanges:
        return share.must_exchange_token is not False
    if share.must_exchange_token:
        raise ProviderRefused(
            f"{share.receiving_server} cannot exchange tokens, which this share demands"
        )
    return False


async def announce(
    others: Others,
    ours: Ours,
    share: SentShare,
    new: NewShare,
    attempt: Attempt,
    discovery: Discovery,
    speech: Speech,
) -> Reply | None:
    """Send one form. None when it was taken, the answer when another form may be tried.

    Raises ProviderRefused for a no, ProviderFailed for what may pass or may have been kept.
    """
    url = discovery.api("shares")
    if attempt.form is Form.OCS:
        url = f"{discovery.asked_at}{announcements.OCS_PATH}"
    reply = await others.client.post(
        share.receiving_server,
        url,
        announcements.encode(new, attempt.form, speech.dialect, ours.origin),
        content_type=announcements.FORM if attempt.form is Form.OCS else announcements.JSON,
        purpose="share",
        # The share is kept there, whatever becomes of the words about it; OCS says it in the body.
        status_alone=attempt.form is not Form.OCS,
    )
    if _taken(attempt.form, speech, reply):
        return None
    if not _not_understood(attempt.form, reply):
        expect_success(share.receiving_server, reply)
    return reply


def refused(share: SentShare, reply: Reply) -> ProviderRefused:
    """No form is left: what the server said to the last one."""
    said = spoken(reply.body)
    text = f"{share.receiving_server} answered {reply.status}" + (f": {said}" if said else "")
    return ProviderRefused(text, answered=reply.status)


def webdav_of(share: SentShare, attempt: Attempt, ours: Ours) -> WebDav:
    """How the Resource is reached, as that form says it."""
    requirements = {
        MUST_EXCHANGE_TOKEN: attempt.must_exchange_token,
        MUST_USE_MFA: share.must_use_mfa,
    }
    absolute = f"{ours.origin}/{'/'.join(ours.shares)}/{share.provider_id}"
    return WebDav(
        uri=absolute if attempt.form is Form.ABSOLUTE else share.provider_id,
        shared_secret=share.shared_secret,
        permissions=share.permissions,
        requirements=frozenset(name for name, wanted in requirements.items() if wanted),
        size=share.size,
    )


def _taken(form: Form, speech: Speech, reply: Reply) -> bool:
    if form is Form.OCS:
        return 200 <= reply.status < 300 and announcements.took_ocs(reply.body)
    return reply.status in speech.dialect.share_success


def _not_understood(form: Form, reply: Reply) -> bool:
    """A form that this server does not know. Some answer what they do not know with 200 and a
    page."""
    return reply.status in OTHER_FORM or (200 <= reply.status < 300 and form is not Form.OCS)
