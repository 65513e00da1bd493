"""What another system says about an object: which of it is news."""

from dataclasses import dataclass
from enum import StrEnum


class News(StrEnum):
    """What a record from a source is, compared with the one before it."""

    NEW = "new"
    SAME = "same"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class SourceMark:
    """What a source said last: how new it was by its own order, and a digest of its content.

    An empty version says nothing about age.
    """

    version: str
    content_sha256: bytes


def weigh(known: SourceMark | None, arriving: SourceMark) -> News:
    """Return what arrives: older than what is known, the same content as last time, or new.

    Content that did not change there since is no news, however much was corrected here meanwhile.
    """
    if known is None:
        return News.NEW
    if arriving.version and known.version and arriving.version < known.version:
        return News.STALE
    return News.SAME if arriving.content_sha256 == known.content_sha256 else News.NEW
