"""The tables every service has."""

from alembic import op

from throughline_runtime import schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    schema.create_v1(op)
