"""An API as a table: which method and path, what it takes, what it does and what it answers.

The OpenAPI document is made from the same table that requests are matched with, and served beside
it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway import __version__
from gateway.dav.target import RequestPath
from gateway.errors import Malformed, NotFound, WrongMethod
from gateway.model import User
from gateway.ocm import json
from gateway.store.parts import Part, Turn
from gateway.web.requests import json_response, read_body

_READ_SECONDS = 30
_MOST = 1000
"""How much of a list is answered at once."""
_LONGEST_SEARCH = 200
_ID = {"type": "string", "minLength": 1, "maxLength": 255}
_SOME = {"type": "string", "maxLength": 1500}


class Taken(BaseModel):
    """What a request brings: nothing is coerced, and what is unknown is a fault."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who, the values in its path and query, and what it brought."""

    user: User
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = field(repr=False, default=None)

    @property
    def name(self) -> str:
        """The name of who calls."""
        return self.user.name


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. `takes` is the model of its body, which may have `most_bytes`; `asks` are the query
    parameters that it needs, `may_ask` and `parts` those that it may have, by name; with `parts`
    it answers a Part."""

    method: str
    path: str
    name: str
    summary: str
    do: Callable[[Call], Awaitable[object]]
    takes: type[Taken] | None = None
    asks: tuple[str, ...] = ()
    may_ask: tuple[str, ...] = ()
    status: int = 200
    many: bool = False
    parts: tuple[str, ...] = ()
    most_bytes: int = 64 * 1024

    @property
    def segments(self) -> tuple[str, ...]:
        """Its path, taken apart."""
        return tuple(self.path.strip("/").split("/"))

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The values in a path of this form; None for another form."""
        if len(segments) != len(self.segments):
            return None
        values = {}
        for mine, theirs in zip(self.segments, segments, strict=True):
            if mine.startswith("{"):
                values[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return values


class Table:
    """The operations of one API."""

    def __init__(
        self,
        operations: Sequence[Operation],
        whoever: Callable[[web.BaseRequest, Operation], Awaitable[User]],
        *,
        server: str,
        summary: str,
        open_to_read: bool = False,
    ) -> None:
        """`whoever` says who asks for an operation, or raises Unauthorized or Refused. `server` is
        the address of the API. `open_to_read`: who only looks need not say who they are."""
        self._operations = tuple(operations)
        self._whoever = whoever
        self._server = server
        self._summary = summary
        self._security: list[dict[str, list[str]]] = [
            *([{}] if open_to_read else []),
            {"basic": []},
        ]
        self._document = self.document()

    async def door(self, request: web.BaseRequest, path: RequestPath) -> web.Response:
        """Everything below the address of the API."""
        if path.segments == ("openapi.json",) and request.method in ("GET", "HEAD"):
            return json_response(self._document)
        found = [(one, one.match(path.segments)) for one in self._operations]
        fitting = [(one, values) for one, values in found if values is not None]
        if not fitting:
            raise NotFound("the API has no such address; it is described in openapi.json")
        method = "GET" if request.method == "HEAD" else request.method
        chosen = next(((one, values) for one, values in fitting if one.method == method), None)
        if chosen is None:
            raise WrongMethod("not with this method", allow=tuple(one.method for one, _ in fitting))
        operation, values = chosen
        user = await self._whoever(request, operation)
        call = Call(user, values, _asked(request, operation), await _body(request, operation))
        said = await operation.do(call)
        if isinstance(said, Part):
            # Beyond the last part there is nothing, so that whoever counts up comes to an end.
            response = json_response(said.items if turn_of(call).number <= said.last else [])
            response.headers.update(self._around(operation, call, said))
        else:
            response = json_response(said, operation.status)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _around(self, operation: Operation, call: Call, part: Part[Any]) -> dict[str, str]:
        """How many there are in all, and where the parts before and after are (RFC 8288)."""
        near = {"prev": part.number - 1, "next": part.number + 1}
        links = [
            f"<{self._server}{operation.path}?{urlencode({**call.query, 'page': number})}>;"
            f' rel="{name}"'
            for name, number in near.items()
            if 1 <= number <= part.last
        ]
        found = {"X-Total-Count": str(part.found)}
        return found | ({"Link": ", ".join(links)} if links else {})

    def document(self) -> dict[str, object]:
        """The OpenAPI 3.1 document of the table."""
        paths: dict[str, dict[str, object]] = {}
        schemas: dict[str, object] = {"Error": _ERROR}
        for one in self._operations:
            if one.takes:
                schemas[one.takes.__name__] = one.takes.model_json_schema(by_alias=True)
            paths.setdefault(one.path, {})[one.method.lower()] = _described(one)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "ocm-gateway",
                "version": __version__,
                "summary": self._summary,
            },
            "servers": [{"url": self._server}],
            "security": self._security,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            },
        }


def turn_of(call: Call) -> Turn:
    """The part that is asked for. Raises Malformed."""
    number, size = (_number(call, name, most) for name, most in (("page", 10**9), ("size", _MOST)))
    return Turn(number or 1, size or _MOST)


def _number(call: Call, name: str, most: int) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= most):
        raise fault(name, f"is a number from 1 to {most}")
    return int(text)


def _asked(request: web.BaseRequest, operation: Operation) -> dict[str, str]:
    """The query parameters of an operation, each once; Malformed for others."""
    given = request.query
    known = {*operation.asks, *operation.may_ask, *operation.parts}
    if set(given) - known or len(given) != len(set(given)):
        raise Malformed("the address has parameters that this operation does not know")
    missing = [name for name in operation.asks if not given.get(name)]
    if missing:
        raise Malformed(
            "a parameter is missing", fields=tuple((one, "is needed") for one in missing)
        )
    if len(given.get("q", "")) > _LONGEST_SEARCH:
        raise fault("q", f"may have {_LONGEST_SEARCH} characters")
    return dict(given)


async def _body(request: web.BaseRequest, operation: Operation) -> Taken | None:
    if operation.takes is None:
        return None
    if request.content_type != "application/json":
        raise Malformed("the request is not application/json")
    most = operation.most_bytes
    members = json.load_object(await read_body(request, most, _READ_SECONDS), most)
    try:
        return operation.takes.model_validate(members)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        fields = tuple((".".join(map(str, one["loc"])), one["msg"]) for one in faults[:20])
        raise Malformed("the request is not valid", fields=fields) from error


def fault(name: str, message: str) -> Malformed:
    """What is wrong with one member of a request."""
    return Malformed("the request is not valid", fields=((name, message),))


_PART: dict[str, dict[str, object]] = {
    "page": {"type": "integer", "minimum": 1, "default": 1},
    "size": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _MOST},
    "q": {"type": "string", "maxLength": _LONGEST_SEARCH},
}
_HEADERS: dict[str, object] = {
    "X-Total-Count": {"description": "How many there are.", "schema": {"type": "integer"}},
    "Link": {"description": "The parts before and after (RFC 8288).", "schema": {"type": "string"}},
}
_ERROR = {
    "type": "object",
    "required": ["message", "code", "request"],
    "properties": {
        "message": {"type": "string"},
        "code": {"type": "string"},
        "request": {"type": "string"},
        "validationErrors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "message"],
                "properties": {"name": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def _described(one: Operation) -> dict[str, object]:
    parameters: list[dict[str, object]] = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _ID}
        for part in one.segments
        if part.startswith("{")
    ]
    parameters += [
        {"name": name, "in": "query", "required": True, "schema": _ID} for name in one.asks
    ]
    parameters += [{"name": name, "in": "query", "schema": _SOME} for name in one.may_ask]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": _PART[name]}
        for name in one.parts
    ]
    answer: dict[str, object] = (
        {"type": "array", "items": {"type": "object"}} if one.many else {"type": "object"}
    )
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": parameters,
        "responses": {
            str(one.status): {
                "description": "Done.",
                "content": {"application/json": {"schema": answer}},
            },
            "default": {
                "description": "Not done; the message says why.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if one.parts:
        described["responses"][str(one.status)]["headers"] = _HEADERS
    if one.takes:
        schema = {"$ref": f"#/components/schemas/{one.takes.__name__}"}
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described
