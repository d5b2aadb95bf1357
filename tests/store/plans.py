"""How a database goes about what it is asked."""

from sqlalchemy import event

from gateway.store.database import Database, Work

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}


async def plans(database: Database, work: Work) -> str:
    """The plans of the queries of `work`, as the engine puts them. It plans by how much there is,
    so the tables need be large."""
    asked = []

    def hear(_connection, _cursor, statement, parameters, _context, _many):
        if statement.lstrip().startswith("SELECT"):
            asked.append((statement, parameters))

    def explained(connection):
        event.listen(connection, "before_cursor_execute", hear)
        work(connection)
        event.remove(connection, "before_cursor_execute", hear)
        explain = EXPLAIN[connection.dialect.name]
        return "\n".join(
            str(row)
            for statement, parameters in list(asked)
            for row in connection.exec_driver_sql(explain + statement, parameters)
        )

    await database.write(lambda connection: connection.exec_driver_sql("ANALYZE").close())
    return await database.read(explained)
