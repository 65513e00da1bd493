"""Time corrections."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create what the subject needs."""
