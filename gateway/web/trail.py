"""Log-ins and log-outs, as they stand in the audit trail."""

from gateway.policy.audit import ALLOW, DENY, Audit
from gateway.sharing.ours import Ours


class Trail:
    """Enters who came and who was turned away."""

    def __init__(self, audit: Audit, ours: Ours) -> None:
        self._audit = audit
        self._ours = ours

    def came(self, user: str, method: str) -> None:
        """A local user has logged in."""
        self._audit.note("login", outcome=ALLOW, who=self._address(user), reason=method)

    def left(self, user: str, where: str = "") -> None:
        """A local user has logged out, here or everywhere."""
        self._audit.note("logout", who=self._address(user), reason=where)

    def refused(self, name: str, reason: str) -> None:
        """Somebody gave that name, and was not let in."""
        who = self._address(name)
        self._audit.refuse(self._audit.deed("login", outcome=DENY, who=who, reason=reason))

    def _address(self, name: str) -> str:
        return str(self._ours.address(name))
