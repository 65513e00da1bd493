"""Runs that post what changed terms make of rated work."""

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    pass
