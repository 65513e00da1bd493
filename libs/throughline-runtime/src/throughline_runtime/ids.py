"""Identifiers made in code, so that an event can name a row before it is written."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a fresh UUIDv7: unique everywhere, and in order of time within this process."""
    return uuid7()
