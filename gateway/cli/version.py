"""`ocm-gateway version`: which one this is."""

from gateway import __version__
from gateway.cli.console import JsonOption, show


def version(*, as_json: JsonOption = False) -> None:
    """Print the version."""
    show({"version": __version__}, lambda: [__version__], as_json=as_json)
