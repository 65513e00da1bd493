"""The probe's own tables."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(
        op,
        """
        CREATE TABLE effect (
            place        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            aggregate_id uuid   NOT NULL,
            note         text   NOT NULL CHECK (note <> 'forbidden')
        );
        CREATE TABLE posting (posting_id uuid PRIMARY KEY);
        COMMENT ON TABLE posting IS 'append-only: a table of a service that only grows';
        """,
    )
