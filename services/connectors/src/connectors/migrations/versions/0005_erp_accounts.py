"""Legal entities say which system is their ERP, and what they want of it."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- The accounts themselves are links of the crosswalk: a customer in the entity's system.
        CREATE TABLE erp_policy (
            legal_entity_id  uuid     PRIMARY KEY,
            version          bigint   NOT NULL CHECK (version > 0),
            system           text     NOT NULL CHECK (system ~ '^[a-z][a-z0-9-]{1,39}$'),
            account_required boolean  NOT NULL
        );
        """,
    )
