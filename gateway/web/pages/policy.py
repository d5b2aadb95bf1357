"""The operator's pages about policy: the rules with what they decided, a try at them, the list in
the database with its history."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.errors import Malformed, NotFound
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.facts import Action
from gateway.policy.ledger import Ledger
from gateway.policy.lists import Lists
from gateway.policy.live import Live
from gateway.policy.overview import RuleSeen, overview
from gateway.policy.rehearsing import what_if
from gateway.web.pages.frame import Frame
from gateway.web.pages.listing import found_in

_HERE = "/policy"
_MOST_NAMES = 12
_MOST_LINES = 200
_MOST_VERSIONS = 50
_MOST_EXAMPLES = 10
_WORDS = ("server", "address", "user", "path", "type", "size", "signed", "at")
_LISTS = ("group", "protocol", "capability")
_FLAGS = {"yes": True, "no": False}
_SWITCHES = ("invited", "mfa", "pinned", "exchanges")
_OF_WORDS = {"action", "type", "permissions", "signed", "invited", "mfa", "pinned"}
"""The conditions whose values are words of ours, and no names."""


class PolicyPages:
    """The pages; `ADDRESSES` and `FORMS` say where each is on the management listener."""

    def __init__(
        self,
        frame: Frame,
        keeper: Doorkeeper,
        live: Live,
        ledger: Ledger,
        lists: Lists,
        clock: Callable[[], int],
    ) -> None:
        self._frame = frame
        self._keeper = keeper
        self._live = live
        self._ledger = ledger
        self._lists = lists
        self._clock = clock

    async def get_policy(self, request: web.Request) -> web.Response:
        """The rules in the order in which they win, and what the rehearsed ones would change."""
        found = await overview(self._keeper, self._live, self._ledger, self._clock())
        wanted, part = found_in(request.query, found.rules, _searched)
        rehearsed = found.in_force.shadow is not None
        return await self._frame.page(
            request,
            "policy",
            _HERE,
            found=found,
            part=part,
            q=wanted,
            asked=_asked,
            examples=(
                await self._ledger.latest(shadowed=True, most=_MOST_EXAMPLES) if rehearsed else []
            ),
        )

    async def get_test(self, request: web.Request) -> web.Response:
        """Try the rules on facts; nothing is counted or written down."""
        query, result, problem = request.query, None, None
        if "server" in query:
            try:
                result = what_if(self._keeper, _given(query))
            except Malformed as error:
                problem = error
        steps = {step["step"]: step for step in result["chain"]} if result else {}
        return await self._frame.page(
            request,
            "policy_test",
            _HERE,
            status=problem.status if problem else 200,
            actions=[one.value for one in Action],
            query=query,
            permissions=query.getall("permissions", []),
            result=result,
            problem=problem,
            tried=steps["rules"]["tried"] if result else [],
            left=steps["rules"]["left"] if result else 0,
            near=steps["near"]["said"] if "near" in steps else [],
        )

    async def get_list(self, request: web.Request) -> web.Response:
        """The list that holds, those before it, and a form for another."""
        held = await self._lists.latest()
        versions = await self._lists.history(_MOST_VERSIONS)
        change = await self._lists.difference(await self._lists.by_number(0), held)
        return await self._frame.page(
            request,
            "policy_list",
            _HERE,
            held=held,
            done=bool(held.number) and request.query.get("done") == str(held.number),
            entries=change.added,
            most=_MOST_LINES,
            versions=versions,
        )

    async def post_preview(self, request: web.Request) -> web.Response:
        """What a file would change; nothing changes yet."""
        form = await self._frame.form(request)
        name, content = form.file("file")
        if not content:
            name, content = f"list.{form.text('format') or 'csv'}", form.text("text").encode()
        if not content:
            raise Malformed("there is no list in the form")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed("the list is not text in UTF-8", detail=str(error)) from error
        found = await self._lists.preview(text, name[-100:])
        return await self._frame.page(
            request,
            "policy_preview",
            _HERE,
            found=found,
            name=name[-100:],
            note=form.text("note")[:500],
            most=_MOST_LINES,
        )

    async def post_list(self, request: web.Request) -> web.Response:
        """Let the list that was looked at hold."""
        form = await self._frame.form(request)
        if not form.text("seen"):
            raise Malformed("look at what the list changes first")
        kept = await self._lists.apply(
            form.text("document"),
            "list.json",
            by=form.who,
            note=form.text("note")[:500] or f"import {form.text('name')[:100]}",
            seen=form.text("seen"),
        )
        return self._frame.redirect(f"/policy/list?done={kept.number}")

    async def get_version(self, request: web.Request) -> web.Response:
        """A list of the history: what it changed, and what going back to it would."""
        one = await self._lists.by_number(_number(request.match_info["number"]))
        held = await self._lists.latest()
        before = await self._lists.by_number(max(one.number - 1, 0))
        return await self._frame.page(
            request,
            "policy_version",
            _HERE,
            one=one,
            held=held,
            made=await self._lists.difference(before, one),
            back=await self._lists.difference(held, one),
            most=_MOST_LINES,
        )

    async def post_rollback(self, request: web.Request) -> web.Response:
        """Let an earlier list hold again."""
        form = await self._frame.form(request)
        kept = await self._lists.roll_back(
            _number(form.text("number")), by=form.who, holding=_number(form.text("holding"))
        )
        return self._frame.redirect(f"/policy/list?done={kept.number}")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise NotFound("there is no such list")
    return int(text)


def _searched(one: RuleSeen) -> str:
    names = " ".join(map(str, one.asks.get("who", ())))
    return f"{one.rule.id} {one.rule.comment} {one.rule.public_comment} {names}"


def _asked(asks: Mapping[str, Any]) -> list[tuple[str, list[str], bool, int]]:
    """(condition, its first values, whether they are words, how many more there are) of a rule."""
    found = []
    for name, value in asks.items():
        values = value if isinstance(value, list) else [value]
        if name in ("after", "before"):
            values = [datetime.fromtimestamp(one, UTC).isoformat() for one in values]
        found.append((name, [*map(_word, values[:_MOST_NAMES])], name in _OF_WORDS, _more(values)))
    return found


def _word(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else str(value)


def _more(values: list[Any]) -> int:
    return max(0, len(values) - _MOST_NAMES)


def _given(query: Any) -> dict[str, Any]:
    """What is known, as somebody filled it in; what was left empty is not proven."""
    given: dict[str, Any] = {"action": query.get("action", "")}
    given |= {name: query[name].strip() for name in _WORDS if query.get(name, "").strip()}
    for name in _LISTS:
        if values := query.get(name, "").replace(",", " ").split():
            given[name] = values
    if permissions := query.getall("permissions", []):
        given["permissions"] = permissions
    given |= {name: _FLAGS[query[name]] for name in _SWITCHES if query.get(name) in _FLAGS}
    return {"server": ""} | given


ADDRESSES = (
    ("/policy", PolicyPages.get_policy),
    ("/policy/test", PolicyPages.get_test),
    ("/policy/list", PolicyPages.get_list),
    ("/policy/list/{number}", PolicyPages.get_version),
)
FORMS = (
    ("/policy/preview", PolicyPages.post_preview),
    ("/policy/list", PolicyPages.post_list),
    ("/policy/rollback", PolicyPages.post_rollback),
)
