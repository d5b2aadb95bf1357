"""How a received share can be reached: every way that its server may know, the likeliest first.

A share that requires the exchange is reached with an exchanged token and nothing else. All ways
lead to the server that sent the share.
"""

from gateway.dav.target import encode_path
from gateway.errors import ProviderRefused
from gateway.model import Authority, ReceivedShare
from gateway.ocm import urls
from gateway.ocm.dialects import Approach
from gateway.ocm.discovery import Discovery, webdav_path
from gateway.providers.dialects import Speech
from gateway.sharing.receiving import uri_segments

EXCHANGING = frozenset({Approach.EXCHANGED, Approach.ROOT_EXCHANGED})
AT_ROOT = frozenset({Approach.ROOT_BASIC, Approach.ROOT_EXCHANGED, Approach.ROOT_BEARER})
BASIC = frozenset({Approach.BASIC, Approach.ROOT_BASIC})

_OLD_FORM = (Approach.ROOT_BASIC, Approach.ROOT_EXCHANGED, Approach.ROOT_BEARER)
"""For a share without a uri (draft 03, 8 step 5); Reva takes a bearer secret as well."""


def approaches(share: ReceivedShare, discovery: Discovery, speech: Speech) -> tuple[Approach, ...]:
    """The ways to a share, in the order to try.

    Raises ProviderRefused where the only one is not there: an exchange that is not offered.
    """
    if share.must_exchange_token:
        if not discovery.exchanges_tokens:
            raise ProviderRefused(f"{share.sending_server} offers no token exchange any more")
        return (Approach.EXCHANGED if share.uri else Approach.ROOT_EXCHANGED,)
    order: tuple[Approach, ...] = _OLD_FORM
    if share.uri:
        own = [one for one in speech.dialect.approaches if one not in AT_ROOT]
        order = tuple(dict.fromkeys((*own, Approach.BEARER, *speech.dialect.approaches)))
    if not (discovery.exchanges_tokens and speech.dialect.exchanges):
        order = tuple(one for one in order if one not in EXCHANGING)
    learnt = speech.approach
    return (learnt, *(one for one in order if one is not learnt)) if learnt in order else order


def without_exchange(approach: Approach) -> Approach:
    """How the bare secret goes the same way, where an exchange failed (draft 03, 8 step 3.1)."""
    return Approach.ROOT_BASIC if approach is Approach.ROOT_EXCHANGED else Approach.BEARER


def base_of(share: ReceivedShare, discovery: Discovery, approach: Approach, ours: Authority) -> str:
    """The URL of the share's root, without a trailing slash (draft 03, 8 step 4)."""
    uri = "" if approach in AT_ROOT else share.uri
    if "://" in uri:
        if urls.authority_of(uri) != ours:
            return uri.rstrip("/")
        # opencloudmesh-go writes the receiver's host where absolute addresses are asked for.
        uri = uri.rstrip("/").rpartition("/")[2]
    path = webdav_path(discovery, share.resource_type)
    if path is None:
        raise ProviderRefused(f"{share.sending_server} serves no WebDAV")
    prefix = path.rstrip("/")
    # Reva means the path at its server by a slash in front.
    uri = uri.removeprefix(prefix) if uri.startswith(prefix + "/") else uri
    return discovery.asked_at + prefix + encode_path(uri_segments(uri))
