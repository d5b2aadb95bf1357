"""Public links of Shares, by the keyed hash of their tokens, and who asked by them."""

from sqlalchemy import Connection, delete, insert, select, update

from gateway.store.tables import link_visits, links


def replace(connection: Connection, share: str, fingerprint: str, now: int) -> None:
    """Give a Share a new link; the one before opens nothing any more."""
    remove(connection, share)
    connection.execute(
        insert(links).values(share=share, token_fingerprint=fingerprint, created_at=now, asked=0)
    )


def remove(connection: Connection, share: str) -> bool:
    """Take the link of a Share away; whether it had one. Who asked stays known."""
    return connection.execute(delete(links).where(links.c.share == share)).rowcount == 1


def has(connection: Connection, share: str) -> bool:
    """Whether a Share has a link."""
    return (
        connection.execute(select(links.c.share).where(links.c.share == share)).first() is not None
    )


def find(connection: Connection, fingerprint: str) -> str | None:
    """The id of the Share whose link that is."""
    query = select(links.c.share).where(links.c.token_fingerprint == fingerprint)
    return connection.execute(query).scalar_one_or_none()


def ask(connection: Connection, fingerprint: str, share_with: str, most: int, now: int) -> bool:
    """Record that somebody asked by a link; False for one who did before, and when it is used up.

    The count is taken first: its row is locked by that, so that of two at once one waits.
    """
    counted = update(links).where(links.c.token_fingerprint == fingerprint, links.c.asked < most)
    if connection.execute(counted.values(asked=links.c.asked + 1)).rowcount != 1:
        return False
    share = find(connection, fingerprint)
    known = select(link_visits.c.asked_at).where(
        link_visits.c.share == share, link_visits.c.share_with == share_with
    )
    if connection.execute(known).first():
        back = update(links).where(links.c.token_fingerprint == fingerprint)
        connection.execute(back.values(asked=links.c.asked - 1))
        return False
    connection.execute(insert(link_visits).values(share=share, share_with=share_with, asked_at=now))
    return True


def visits(connection: Connection, share: str) -> list[tuple[str, int]]:
    """Who asked by the links of a Share and when, the newest first."""
    query = (
        select(link_visits.c.share_with, link_visits.c.asked_at)
        .where(link_visits.c.share == share)
        .order_by(link_visits.c.asked_at.desc(), link_visits.c.share_with)
    )
    return [(row.share_with, row.asked_at) for row in connection.execute(query)]
