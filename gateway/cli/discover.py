"""`ocm-gateway discover`: what another server says of itself."""

from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.console import ConfigOption, JsonOption, run, show
from gateway.cli.dialects import spoken
from gateway.ocm.address import authority
from gateway.providers.dialects import Speech
from gateway.providers.discovery import Found
from gateway.web.records import found


def discover(
    host: Annotated[str, typer.Argument(help="The server: host[:port].")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a server for its discovery document, as policy allows."""

    async def ask(gateway: Gateway) -> tuple[Found, Speech]:
        provider = authority(host)
        gateway.others.doorkeeper.admit_provider(provider)
        answer = await gateway.others.discoveries.find(provider, afresh=True)
        return answer, await gateway.others.dialects.speech(provider, answer.document)

    answer, speech = run(config, ask, as_json=as_json)
    document = answer.document

    def lines() -> list[str]:
        return [
            f"{answer.url}",
            f"  provider      {document.provider or '-'}",
            f"  API version   {document.api_version}",
            f"  endPoint      {document.end_point}",
            f"  capabilities  {' '.join(sorted(document.capabilities)) or '-'}",
            f"  criteria      {' '.join(sorted(document.criteria)) or '-'}",
            f"  tokens        {document.token_end_point or '-'}",
            f"  keys          {document.jwks_uri or '-'}",
            f"  dialect       {speech.dialect.name} ({speech.dialect.title}), by {speech.source}",
            f"  shares as     {' then '.join(speech.forms)}",
        ]

    facts = {"url": answer.url, "discovery": found(document), "dialect": spoken(speech)}
    show(facts, lines, as_json=as_json)
