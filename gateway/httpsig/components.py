"""Message components (RFC 9421 2): the parts of a message that a signature can cover.

Header fields by their lower-case names, and parts derived from the request line, which start
with @. Of the component parameters only the `name` of @query-param is known here: the others
(req, sf, bs, key, tr) would let a signature cover something else than it seems to.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

import http_sf

from gateway.httpsig.fields import Parameters
from gateway.httpsig.reasons import Reason, bad

_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TARGET = re.compile(r"(https?)://([^/?#@]+)([^?#]*)(\?[^#]*)?", re.IGNORECASE)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_MOST_QUERY_PARAMETERS = 200


@dataclass(frozen=True, slots=True)
class Component:
    """One covered component: its name, and for @query-param which one, percent-encoded."""

    name: str
    query_param: str | None = None

    @property
    def parameters(self) -> Parameters:
        """Its parameters as a structured field has them."""
        return {} if self.query_param is None else {"name": self.query_param}

    @property
    def identifier(self) -> str:
        """How it stands at the start of its line in the signature base."""
        return http_sf.ser((self.name, self.parameters))


def parse_component(name: object, parameters: object) -> Component:
    """A component from a parsed Signature-Input; BadSignature (malformed) for one not known."""
    if type(name) is not str:  # a Token reads like a string and is none
        raise bad(Reason.MALFORMED, "a covered component is not a string")
    if name == "@query-param" and isinstance(parameters, dict):
        wanted = parameters.get("name")
        if type(wanted) is str and len(parameters) == 1:
            return Component(name, wanted)
    elif not parameters and (_FIELD_NAME.fullmatch(name) or name in _DERIVED):
        return Component(name)
    raise bad(Reason.MALFORMED, "a covered component or its parameter is not known", name[:80])


def derived_value(component: Component, method: str, target_uri: str, status: int | None) -> str:
    """The value of a component whose name starts with @ (RFC 9421 2.2).

    A status makes it a response, which has nothing else. Raises BadSignature (coverage) when the
    message has no such component.
    """
    if (status is not None) != (component.name == "@status"):
        raise bad(Reason.COVERAGE, "the message does not have a covered component", component.name)
    if status is not None:
        return str(status)
    scheme, authority, path, query = _split(target_uri)
    if component.query_param is not None:
        return _query_param(query, component.query_param)
    values = {
        "@method": method,
        "@target-uri": target_uri,
        "@authority": authority,
        "@scheme": scheme,
        "@request-target": path + query,
        "@path": path,
        "@query": query or "?",
    }
    if component.name not in values or not _METHOD.fullmatch(method):
        raise bad(Reason.MALFORMED, "a covered component is not known", component.name)
    return values[component.name]


_DERIVED = frozenset(
    {"@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"}
) | {"@status"}


def has_query(target_uri: str) -> bool:
    """Whether the URI has a query, be it empty."""
    return bool(_split(target_uri)[3])


def _split(target_uri: str) -> tuple[str, str, str, str]:
    """Scheme, authority, path and query with its question mark; "" when there is none."""
    match = _TARGET.fullmatch(target_uri)
    if match is None:
        raise bad(Reason.MALFORMED, "the target URI is not an absolute http(s) URI")
    scheme = match[1].lower()
    # RFC 9421 2.2.3: lower case, and the scheme's default port left out.
    authority = match[2].lower().removesuffix(_DEFAULT_PORT[scheme])
    return scheme, authority, match[3] or "/", match[4] or ""


def _query_param(query: str, wanted: str) -> str:
    """RFC 9421 2.2.8: decoded as a form and encoded again; one that stands twice has no value."""
    try:
        pairs = parse_qsl(
            query[1:],
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_QUERY_PARAMETERS,
        )
    except ValueError as error:
        raise bad(Reason.MALFORMED, "the query cannot be read") from error
    found = [value for name, value in pairs if _form_encoded(name) == wanted]
    if len(found) != 1:
        raise bad(Reason.COVERAGE, "a covered query parameter does not stand exactly once")
    return _form_encoded(found[0])


def _form_encoded(text: str) -> str:
    return quote(text, safe="*").replace("~", "%7E")
