"""Checkpoint policies, batches of releases and write-offs."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    pass
