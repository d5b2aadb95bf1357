"""How full the buckets are that all processes pour into (`gateway/rates.py`).

A bucket is kept as the moment when it will be empty, by the database's clock: what processes tell
each other are seconds from now, so that the clocks of replicas need not agree. Its name is a hash:
nobody's address or name is kept.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select, text

from gateway.store.tables import rates

_NOW = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8",
}
_PUT = text(
    "INSERT INTO rates (bucket, empty_at) VALUES (:bucket, :empty_at)"
    " ON CONFLICT (bucket) DO UPDATE SET empty_at = excluded.empty_at"
)


def pour(connection: Connection, poured: Mapping[str, float], longest: float) -> dict[str, float]:
    """Pour so many seconds into each bucket; in how many each will now be empty, `longest` at
    most."""
    now = _now(connection)
    known = _left(connection, now, poured)
    left = {
        bucket: min(known.get(bucket, 0.0) + poured[bucket], longest) for bucket in sorted(poured)
    }
    rows = [{"bucket": bucket, "empty_at": now + seconds} for bucket, seconds in left.items()]
    connection.execute(_PUT, rows)
    return left


def left(connection: Connection, buckets: Collection[str]) -> dict[str, float]:
    """In how many seconds those of these buckets will be empty that are not."""
    return _left(connection, _now(connection), buckets)


def fullest(connection: Connection, least: float, most: int) -> dict[str, float]:
    """As `left`, for the `most` fullest buckets of those that hold `least` seconds."""
    now = _now(connection)
    asked = (
        select(rates.c.bucket, rates.c.empty_at)
        .where(rates.c.empty_at >= now + least)
        .order_by(rates.c.empty_at.desc())
        .limit(most)
    )
    return {row.bucket: row.empty_at - now for row in connection.execute(asked)}


def sweep(connection: Connection) -> None:
    """Forget the buckets that are empty."""
    connection.execute(delete(rates).where(rates.c.empty_at < _now(connection)))


def _left(connection: Connection, now: float, buckets: Collection[str]) -> dict[str, float]:
    asked = select(rates.c.bucket, rates.c.empty_at).where(
        rates.c.bucket.in_(buckets), rates.c.empty_at > now
    )
    return {row.bucket: row.empty_at - now for row in connection.execute(asked)}


def _now(connection: Connection) -> float:
    return float(connection.exec_driver_sql(_NOW[connection.dialect.name]).scalar_one())
