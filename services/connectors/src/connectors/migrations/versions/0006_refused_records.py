"""Records that were refused here are tried again."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- What stopped a record may be mended here, and then it never changes there: it is read
        -- again by its id.
        CREATE TABLE refused_record (
            connection text        NOT NULL REFERENCES connection,
            source_id  text        NOT NULL,
            code       text        NOT NULL,
            attempts   integer     NOT NULL CHECK (attempts > 0),
            due_at     timestamptz NOT NULL,
            PRIMARY KEY (connection, source_id)
        );
        CREATE INDEX refused_record_due ON refused_record (connection, due_at);
        """,
    )
