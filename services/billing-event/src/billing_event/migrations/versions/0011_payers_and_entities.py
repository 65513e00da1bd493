"""Several payers, and what one entity owes another."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    pass
