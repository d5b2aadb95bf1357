"""`ocm-gateway check`: is the configuration good?"""

from gateway import config as configuration
from gateway.cli.console import ConfigOption, JsonOption, settings_of, show
from gateway.sharing import ours


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read the configuration and say everything that is wrong or risky about it."""
    settings = settings_of(config, as_json=as_json)
    us = ours.from_config(settings)
    warnings = configuration.warnings(settings)
    answer = {"valid": True, "authority": us.authority, "origin": us.origin, "warnings": warnings}

    def lines() -> list[str]:
        return [
            f"The configuration is valid: addresses here end in @{us.authority}.",
            *(f"warning: {warning}" for warning in warnings),
        ]

    show(answer, lines, as_json=as_json)
