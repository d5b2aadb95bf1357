"""Who acts on the management listener: an operator whom the configuration names, by HTTP Basic.

Whoever reaches that listener may look. Who acts has to be somebody, so that the audit trail says
who it was, and so that neither what collects the metrics nor another site in an operator's browser
can act.
"""

import hmac

from aiohttp import web

from gateway.config import Management
from gateway.errors import Refused, Unauthorized
from gateway.policy.audit import DENY, Audit
from gateway.rates import Rates, network_of
from gateway.sharing.credentials import basic_pair, proves
from gateway.store.vault import Vault
from gateway.web.requests import expect_own_site

_BASIC = 'Basic realm="ocm-gateway operators", charset="UTF-8"'


class Operators:
    """The operators of one configuration."""

    def __init__(self, settings: Management, rates: Rates, audit: Audit, vault: Vault) -> None:
        self._known = {one.name: one for one in settings.operators}
        self._rates = rates
        self._audit = audit
        self._vault = vault

    @property
    def named(self) -> bool:
        """Whether anybody may act."""
        return bool(self._known)

    async def find(self, request: web.BaseRequest) -> str:
        """The operator who asks, as the audit trail names them; empty for who does not say.

        Raises Unauthorized for wrong credentials, TooMany for too many of them.
        """
        given = request.headers.getall("Authorization", [])
        if not given or not self._known:
            return ""
        name, password = basic_pair(given[0]) if len(given) == 1 else ("", "")
        address = request.remote or ""
        who = f"operator {name}"
        async with self._rates.guessing("login", network_of(address), Unauthorized, name=who):
            known = self._known.get(name)
            if not proves(
                password, *((known.password, known.password_file) if known else ("", None))
            ):
                wrong = f"wrong password, {address}"
                self._audit.refuse(self._audit.deed("login", outcome=DENY, who=who, reason=wrong))
                raise Unauthorized("user name or password is wrong", challenges=(_BASIC,))
        return who

    async def expect(self, request: web.BaseRequest) -> str:
        """The operator who is about to act, from one of our own pages or from a script.

        Raises Refused, Unauthorized and TooMany.
        """
        if not self.named:
            raise Refused("nobody may act here until management.operators names who")
        # Credentials of HTTP Basic go with every request of a browser, so the page has to be ours.
        expect_own_site(request, f"http://{request.host}", f"https://{request.host}")
        return await self.log_in(request)

    async def log_in(self, request: web.BaseRequest) -> str:
        """The operator who asks; Unauthorized, with which a browser asks them, for nobody."""
        if who := await self.find(request):
            return who
        raise Unauthorized("log in to act here", challenges=(_BASIC,))

    def csrf(self, request: web.BaseRequest) -> str:
        """The token of the forms that this operator gets; another password has another."""
        return self._vault.fingerprint(f"csrf {request.headers.get('Authorization', '')}")

    def expect_own_form(self, request: web.BaseRequest, token: str) -> None:
        """Refused unless the form was made for this operator."""
        if not hmac.compare_digest(token.encode(errors="replace"), self.csrf(request).encode()):
            raise Refused("this form is too old; go back, load the page again and repeat it")
