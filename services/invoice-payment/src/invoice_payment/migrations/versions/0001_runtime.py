"""The tables every service has."""

from alembic import op

from throughline_runtime.schema import create_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_v1(op)
