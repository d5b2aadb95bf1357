"""What people may read of errors: the messages raised in the rooms behind the pages."""

import ast
from pathlib import Path

from gateway import errors

HOUSE = Path(__file__).parents[2] / "gateway"
ROOMS = (
    "dav/answers.py",
    "dav/backend.py",
    "dav/client.py",
    "dav/reading.py",
    "dav/statuses.py",
    "httpsig/*.py",
    "mail.py",
    "ocm/address.py",
    "ocm/discovery.py",
    "ocm/invites.py",
    "ocm/json.py",
    "policy/*.py",
    "probes/*.py",
    "providers/*.py",
    "sharing/*.py",
    "store/*.py",
    "transport.py",
    "upstream/*.py",
    "web/audits.py",
    "web/login.py",
    "web/oidc.py",
    "web/operators.py",
    "web/pages/*.py",
    "web/requests.py",
    "web/routes.py",
    "web/uploads.py",
    "web/views.py",
)
"""Where what a page shows is raised; the other rooms speak to servers, clients and operators."""


ALSO = {
    "this is a user of this server; OCM is for other servers",
    "their server takes shares only from people whose invite they accepted",
    "sharing with their server waits for the approval of this server's operator",
    "the policy of this server does not allow sharing with theirs",
}
"""Not raised: why a recipient will not do (`sharing/recipients.py`)."""


def messages() -> set[str]:
    """Each message once; what it fills in stands as {}."""
    return {
        text
        for pattern in ROOMS
        for file in HOUSE.glob(pattern)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and (text := _said(node))
    }


def _said(call: ast.Call) -> str:
    """What an error says that is made here; "" for what makes none."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    kind = getattr(errors, name, None)
    if call.args and isinstance(kind, type) and issubclass(kind, errors.GatewayError):
        return _text(call.args[0])
    return _text(call.args[1]) if name == "bad" else ""  # of a signature


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return ""
