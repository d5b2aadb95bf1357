"""The audit trail: nothing in it changes unseen, and an address can be forgotten all the same."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import delete, insert, select, update

from gateway.errors import Unavailable
from gateway.model import Deed
from gateway.policy.audit import DENY, Audit
from gateway.policy.verifying import verify
from gateway.store import audit as trail
from gateway.store.audit import Wanted
from gateway.store.place import PostgresAddress
from gateway.store.state import open_state
from gateway.store.tables import audit, facts


@pytest.fixture(params=["sqlite", "postgres"])
async def state(request, tmp_path):
    place = tmp_path / "db"
    if request.param == "postgres":
        place = PostgresAddress(request.getfixturevalue("postgres"))
    state = await open_state(tmp_path, place, tmp_path / "key")
    yield state
    await state.close()


@pytest.fixture
async def keeper(state):
    keeper = Audit(state.database, state.vault, lambda: 1000)
    yield keeper
    await keeper.close()


async def everything(state, **wanted):
    return await state.database.read(partial(trail.entries, wanted=Wanted(**wanted)))


async def sound(state):
    return await verify(state.database, state.vault)


async def fill(keeper, number=10):
    for n in range(number):
        await keeper.record("sent.created", who="alice@a.example", whom=f"b{n}@b.example")


async def test_entries_are_found_by_everything_that_is_given(state, keeper):
    await keeper.record("sent.created", who="a@a.example", whom="b@b.example", about="one")
    await keeper.record("sent.created", who="a@a.example", whom="c@c.example", about="two")
    await keeper.record("peer.blocked", who="operator olga", provider="c.example")
    await keeper.record("login", who="a@a.example", outcome=DENY)
    positions = {
        "who": {"a@a.example": [1, 2, 4], "operator olga": [3], "olga": []},
        "whom": {"b@b.example": [1], "a@a.example": []},
        "outcome": {"deny": [4], "done": [1, 2, 3]},
        "provider": {"c.example": [3]},
        "about": {"two": [2]},
        "address": {"a@a.example": [1, 2, 4], "c@c.example": [2]},
    }
    for name, cases in positions.items():
        for text, expected in cases.items():
            found = [one.position for one in await everything(state, **{name: text})]
            assert found == expected, (name, text)
    both = await everything(state, who="a@a.example", whom="c@c.example")
    assert [one.position for one in both] == [2]


async def test_what_is_recorded_is_in_the_trail_when_the_caller_hears_of_it(state, keeper):
    decision = await keeper.record(
        "sent.created",
        who="alice@a.example",
        whom="bob@b.example",
        provider="b.example",
        about="share-1",
        reason="because",
    )
    [entry] = await everything(state)
    assert entry.position == 1
    assert entry.deed == Deed(
        1000, "sent.created", "done", decision, "alice@a.example", "bob@b.example", "b.example",
        "share-1", "because",
    )  # fmt: skip
    assert await everything(state, decision=decision) == [entry]


async def test_what_is_noted_is_written_soon(state, keeper):
    decision = keeper.note("login", outcome=DENY, who="alice")
    await asyncio.sleep(1)
    [entry] = await everything(state, what="login")
    assert (entry.deed.decision, entry.deed.outcome) == (decision, "deny")


async def test_what_was_noted_is_written_before_the_end(state):
    keeper = Audit(state.database, state.vault, lambda: 1000)
    for _ in range(700):
        keeper.note("token.issued")
    await keeper.close()
    assert (await sound(state)).entries == 700


async def test_many_writers_make_one_chain(state, keeper):
    other = Audit(state.database, state.vault, lambda: 1001)
    both = [keeper, other]
    await asyncio.gather(*(both[n % 2].record("sent.created", about=str(n)) for n in range(200)))
    await other.close()
    assert await sound(state) == type(await sound(state))(200, 1, 200)
    assert {entry.deed.about for entry in await everything(state)} == {str(n) for n in range(200)}


async def test_nothing_is_acknowledged_that_could_not_be_written(state, keeper, monkeypatch):
    async def gone(*_, **__):
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(type(state.database), "write", gone)
    with pytest.raises(Unavailable, match="audit trail") as caught:
        await keeper.record("sent.created")
    assert caught.value.retry_after


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", 1001),
        ("what", "sent.createe"),
        ("outcome", "deny"),
        ("decision", "0"),
        ("provider", "c.example"),
        ("about", "x"),
        ("who", "mallory@a.example"),
        ("whom", ""),
        ("whom_salt", ""),
        ("reason", "a better reason"),
        ("reason_seal", "0"),
        ("hash", "0" * 64),
    ],
)
async def test_one_changed_column_is_found_and_located(state, keeper, column, value):
    await fill(keeper)
    change = update(audit).where(audit.c.position == 6).values({column: value})
    await state.database.write(lambda connection: connection.execute(change).rowcount)
    found = await sound(state)
    assert (found.damaged, found.entries) == (6, 0)
    assert found.fault


@pytest.mark.parametrize(("gone", "at"), [(1, 1), (5, 5), (10, 10)])
async def test_a_removed_entry_is_found_and_located(state, keeper, gone, at):
    await fill(keeper)
    remove = delete(audit).where(audit.c.position == gone)
    await state.database.write(lambda connection: connection.execute(remove).rowcount)
    assert (await sound(state)).damaged == at


async def test_a_chain_that_somebody_made_without_the_key_is_found(state, keeper):
    await fill(keeper)

    def forge(connection):
        connection.execute(delete(audit))
        connection.execute(delete(facts).where(facts.c.name.startswith("audit")))

    await state.database.write(forge)
    other = type(state.vault)(b"x" * 32)
    deeds = [Deed(1000, "sent.created", "done", "0")]
    await state.database.write(partial(trail.append, vault=other, deeds=deeds))
    assert (await sound(state)).damaged


async def test_an_entry_added_behind_the_end_is_found(state, keeper):
    await fill(keeper, 3)

    def add(connection):
        row = connection.execute(select(audit).where(audit.c.position == 3)).one()._asdict()
        row["position"] = 4
        row["hash"] = trail._hash(row["hash"], row)
        connection.execute(insert(audit).values(**row))

    await state.database.write(add)
    assert (await sound(state)).damaged == 4


async def test_an_erased_address_stands_nowhere_and_the_chain_holds(state, keeper):
    await fill(keeper, 3)
    await keeper.record("login", outcome=DENY, who="B1@b.example", reason="no B1@b.example here")
    assert await keeper.erase("b1@b.example") == 2
    left = await state.database.read(lambda one: repr(one.execute(select(audit)).all()))
    assert "b1@b.example" not in left
    assert "b0@b.example" in left
    assert (await sound(state)).damaged is None
    erased = [entry for entry in await everything(state) if entry.erased]
    assert [entry.erased for entry in erased] == [("whom",), ("reason",)]


async def test_what_cannot_be_entered_is_neither_erased_nor_pruned(state, keeper):
    await fill(keeper)
    before = await everything(state)

    def spoil(connection):
        connection.execute(update(facts).where(facts.c.name == "audit head").values(value="0:0:0"))

    await state.database.write(spoil)
    with pytest.raises(Unavailable):
        await keeper.erase("b1@b.example")
    with pytest.raises(trail.Damaged):
        await keeper.prune(2000)
    assert await everything(state) == before


async def test_old_entries_are_pruned_and_the_chain_holds(state):
    now = 0

    def clock():
        return now

    keeper = Audit(state.database, state.vault, clock)
    for now in range(0, 10 * 86_400, 86_400):  # noqa: B007 - the clock reads it
        await keeper.record("sent.created")
    await keeper.retire(5)
    found = await sound(state)
    assert found.damaged is None
    assert (found.first, found.last) == (5, 11)
    await keeper.retire(5)
    assert (await sound(state)).last == 11
    await keeper.close()


@pytest.mark.slow
@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
async def test_a_hundred_thousand_entries_verify_and_one_byte_is_found(state):
    deeds = [
        Deed(1000, "token.issued", "done", f"{n:x}", who="alice@a.example") for n in range(5000)
    ]
    for _ in range(20):
        await state.database.write(partial(trail.append, vault=state.vault, deeds=deeds))
    assert (await sound(state)).entries == 100_000
    change = update(audit).where(audit.c.position == 77_777).values(who="alicf@a.example")
    await state.database.write(lambda connection: connection.execute(change).rowcount)
    assert (await sound(state)).damaged == 77_777


async def test_what_no_database_can_keep_is_kept_without_it(state, keeper):
    await keeper.record("login", who="a\0b", reason="\ud800" + "x" * 5000)
    [entry] = await everything(state)
    assert entry.deed.who == "ab"
    assert len(entry.deed.reason) <= 1000
