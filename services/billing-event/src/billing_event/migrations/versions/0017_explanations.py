"""How each row came to be, and other rules run beside the live ones."""

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    pass
