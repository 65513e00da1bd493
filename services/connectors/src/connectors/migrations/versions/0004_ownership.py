"""Which outside system may change what."""

from alembic import op

from throughline_runtime import ownership

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    ownership.create(op)
