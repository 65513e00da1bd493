"""Templates and runs."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create what the subject needs."""
