"""Which outside system may change what."""

from alembic import op

from throughline_runtime import ownership

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    ownership.create(op, ("payment", "create", "stripe"), ("payment", "update", "stripe"))
