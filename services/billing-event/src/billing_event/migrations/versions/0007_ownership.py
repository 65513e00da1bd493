"""Which outside system may change what."""

from alembic import op

from throughline_runtime import ownership

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    ownership.create(op)
