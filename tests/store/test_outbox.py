"""Which errand is next, on either engine: the due one, in order, past what is busy or held."""

from dataclasses import replace
from functools import partial

from gateway.model import Authority, Errand, OutboxEntry
from gateway.store import outbox
from tests.store.plans import plans
from tests.store.test_shares import state

__all__ = ["state"]

NOW = 1000
FIRST = OutboxEntry("", Errand.SHARE, "", Authority("one.example"), 0, 0, 0, "", dead=False)


def errand(number, share="", **changes):
    new = replace(FIRST, id=f"e{number:03}", share=share or f"s{number:03}", next_attempt_at=number)
    return replace(new, **changes)


async def keep(state, *entries):
    def work(connection):
        for entry in entries:
            outbox.add(connection, entry)

    await state.database.write(work)


async def claims(state, most=1000, held=(), **how):
    """What is claimed, one after the other, until nothing is."""

    def work(connection):
        found = []
        claim = partial(
            outbox.claim, connection, NOW, me="us", held=lambda _, __, one: one in {*found, *held}
        )
        while len(found) < most and (entry := claim(**how)):
            found.append(entry.id)
        return found

    return await state.database.write(work)


async def test_the_one_that_is_due_for_the_longest_is_first(state):
    await keep(state, errand(3), errand(1), errand(NOW), errand(NOW + 1), errand(2))
    assert await claims(state) == ["e001", "e002", "e003", f"e{NOW}"]


async def test_errands_about_a_share_run_in_the_order_in_which_they_were_given(state):
    await keep(state, errand(9, "a"), errand(1, "a"), errand(NOW + 1, "b"), errand(2, "b"))
    assert await claims(state) == ["e009"]
    assert await claims(state, only="e001") == []
    await state.database.write(partial(outbox.finish, entry_id="e009"))
    await state.database.write(partial(outbox.bury, entry_id=f"e{NOW + 1}", error=""))
    assert await claims(state) == ["e001", "e002"]


async def test_a_server_that_is_busy_or_dead_holds_up_no_other(state):
    many = [errand(number, provider=Authority("dead.example")) for number in range(100)]
    await keep(state, *many, errand(500))
    assert await claims(state, busy=frozenset({Authority("dead.example")})) == ["e500"]
    assert await claims(state, most=1, busy=frozenset({Authority("one.example")})) == ["e000"]


async def test_what_others_hold_is_passed_over_however_much_it_is(state):
    await keep(state, *(errand(number) for number in range(100)))
    assert len(await claims(state, most=99)) == 99
    others = {f"e{number:03}" for number in range(99)}
    assert await claims(state, held=others) == ["e099"]
    assert await claims(state, held=others | {"e099"}) == []
    assert await claims(state, most=1) == ["e000"], "their holder is gone"


async def test_an_errand_that_is_asked_for_need_not_be_due(state):
    await keep(state, errand(NOW + 9))
    assert await claims(state) == []
    assert await claims(state, only=f"e{NOW + 9}", busy=frozenset({FIRST.provider})) == [
        f"e{NOW + 9}"
    ]


async def test_only_the_due_ones_are_read(state):
    await keep(state, *(errand(number) for number in range(1000)))
    nothing = partial(outbox.claim, now=-1, me="us", held=lambda *_: False)
    plan = await plans(state.database, nothing)
    assert "outbox_due" in plan
    assert "outbox_by_share" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
