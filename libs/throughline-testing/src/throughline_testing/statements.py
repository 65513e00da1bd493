"""The SQL that a piece of code runs, to hold the number of statements constant."""

from dataclasses import dataclass, field
from typing import Any, Final

from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExecuteStyle
from sqlalchemy.ext.asyncio import AsyncEngine

# What is sent by itself: the frame of a transaction, what the driver asks once about types, and the
# question whether a connection that has idled is still there.
_FRAMES: Final = (
    ";",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SELECT current_setting('jit')",
    "SELECT set_config('jit'",
    "WITH RECURSIVE typeinfo_tree",
)


@dataclass(slots=True)
class Statements:
    """The texts of the statements sent since the last `clear`, without BEGIN and COMMIT.

    A statement run for many rows in one call is one. Those the database runs once for each row all
    the same are in `row_by_row` too.
    """

    texts: list[str] = field(default_factory=list)
    row_by_row: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def clear(self) -> None:
        """Forget what was sent so far, such as what prepared a test."""
        self.texts.clear()
        self.row_by_row.clear()


def record_statements(engine: AsyncEngine) -> Statements:
    """Record what is sent through `engine` from now on, for as long as it lives."""
    statements = Statements()

    def note(
        _connection: Any, _cursor: Any, text: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        statements.texts.append(text)
        if context.execute_style is ExecuteStyle.EXECUTEMANY:
            statements.row_by_row.append(text)

    def note_direct(query: LoggedQuery) -> None:
        if not " ".join(query.query.split()).startswith(_FRAMES):
            statements.texts.append(query.query)

    def watch(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.driver_connection.add_query_logger(note_direct)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    event.listen(engine.sync_engine.pool, "checkout", watch)
    return statements
