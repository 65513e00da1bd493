"""Periods of retainers and what draws on them."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    pass
