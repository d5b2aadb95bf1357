"""Forwarding an authorized request to its Target.

    async with forward(request, target, send, seal) as answer:
        ...  # pass the answer on; leaving early closes what is open at the storage

Everything is decided before the storage hears of it (`methods`, `headers`, `documents`), what it
answers is rewritten (`multistatus`, `answers`), and what it means is told in `statuses`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from gateway.dav import headers, methods, reading, uploads, writing
from gateway.dav.client import Exchange, Send
from gateway.dav.locks import LockSeal
from gateway.dav.message import DavAnswer, DavRequest
from gateway.dav.target import Target

_METHODS: dict[str, Callable[[Exchange], Awaitable[DavAnswer]]] = {
    "OPTIONS": reading.options,
    "GET": reading.get,
    "HEAD": reading.get,
    "PROPFIND": reading.propfind,
    "PUT": uploads.put,
    "DELETE": writing.delete,
    "MKCOL": writing.mkcol,
    "MOVE": writing.transfer,
    "COPY": writing.transfer,
    "PROPPATCH": writing.proppatch,
    "LOCK": writing.lock,
    "UNLOCK": writing.unlock,
}


@asynccontextmanager
async def forward(
    request: DavRequest, target: Target, send: Send, seal: LockSeal
) -> AsyncIterator[DavAnswer]:
    """Do what the request asks at its Target and yield the answer.

    Raises Malformed, Refused, NotFound, WrongMethod, TooLarge, Unsupported for what the gateway
    refuses; BackendFailed, CredentialRefused, BackendUnavailable, BackendTimeout (or what `send`
    raises) for what fails. What the storage itself refuses is an answer.
    """
    methods.admit(request.method, target)
    headers.admit(request.method, request.headers)
    async with AsyncExitStack() as stack:
        answer = await _METHODS[request.method](Exchange(request, target, send, seal, stack))
        if request.method == "HEAD" and answer.status >= 400:
            answer = replace(answer, body=b"")
        yield answer
