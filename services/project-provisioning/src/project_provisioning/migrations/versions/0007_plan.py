"""Plan."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create what the subject needs."""
