"""Which outside system may change what."""

from alembic import op

from throughline_runtime import ownership

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    ownership.create(op)
