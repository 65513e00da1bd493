"""The ownership matrix, with one system that owns what the probe's methods touch."""

from alembic import op

from throughline_runtime import ownership

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    ownership.create(op, ("customer", "create", "salesforce"), ("customer", "update", "salesforce"))
