"""Callbacks know the account that sent them."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- Empty for what arrived before: with one account, it can only be that one.
        ALTER TABLE webhook ADD COLUMN connection text NOT NULL DEFAULT '';

        CREATE INDEX webhook_by_received_at ON webhook (received_at, webhook_id);
        CREATE INDEX crosswalk_link_by_linked_at ON crosswalk_link (linked_at, crosswalk_link_id);
        """,
    )
