"""Who logged in, who was turned away and who left stands in the audit trail."""

import base64
from functools import partial

from gateway.store import audit
from gateway.store.audit import Wanted
from tests.pair import eventually
from tests.sharing.stage import address, browse, request
from tests.web.browser import browser


async def entries(gateway, what, number=1):
    read = partial(audit.entries, wanted=Wanted(what=what))

    async def enough():
        found = await gateway.state.database.read(read)
        return found if len(found) >= number else None

    return [entry.deed for entry in await eventually(enough)]


async def test_log_in_and_log_out_are_entered(gateway):
    async with browser(gateway) as visitor:
        await visitor.login()
        await visitor.submit("/sessions", "/logout")
    [came] = await entries(gateway, "login")
    [left] = await entries(gateway, "logout")
    assert (came.who, came.outcome) == (address(gateway), "allow")
    assert left.who == address(gateway)


async def test_wrong_passwords_are_entered_and_counted_but_never_shown(gateway, peer):
    async with browser(gateway) as visitor:
        for _ in range(3):
            await visitor.login("alice", "a-wrong-guess")
    basic = base64.b64encode(b"alice:a-wrong-guess").decode()
    url = f"{gateway.ours.origin}/remote/dav/received/"
    await peer.send(request("PROPFIND", url, b"", {"Authorization": f"Basic {basic}"}))
    await gateway.audit.close()
    first, count = await entries(gateway, "login", 2)
    assert (first.who, first.outcome) == (address(gateway), "deny")
    assert count.reason.startswith("3 more of these: wrong password")
    assert "guess" not in f"{first} {count}"
    assert (await browse(gateway, peer, "")).status == 207
