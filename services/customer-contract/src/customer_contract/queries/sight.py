"""What a caller limited to legal entities may see: whatever else there is, is not there for it."""

from uuid import UUID

from throughline_core.errors import NotFound
from throughline_runtime.identity import visible_entities


def require_sight(legal_entity_id: UUID | None, refusal: NotFound) -> None:
    """Refuse, with what a missing object is refused with, what belongs to another legal entity.

    What belongs to none is for all to see.
    """
    entities = visible_entities()
    if legal_entity_id is not None and entities is not None and legal_entity_id not in entities:
        raise refusal
