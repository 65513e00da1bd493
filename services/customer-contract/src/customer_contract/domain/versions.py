"""Optimistic edits: a change says which version it was made on."""

from throughline_core.errors import StaleVersion


def require_version(stored: int, expected: int) -> None:
    """Refuse a change that was made on another version than the stored one; 0 takes any.

    Raises:
        StaleVersion: somebody changed the object meanwhile.
    """
    if expected not in {0, stored}:
        raise StaleVersion(
            f"it is at version {stored}, the change was made on {expected}",
            field="version",
            advice="read it again and repeat the change on it",
        )
