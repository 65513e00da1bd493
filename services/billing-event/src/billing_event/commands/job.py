"""Who may see runs that are worked off chunk by chunk."""

from collections.abc import Sequence
from uuid import UUID

from throughline_core.errors import NotFound
from throughline_runtime.identity import require_entity, visible_entities


def require_visible(legal_entity_ids: Sequence[UUID] | None, missing: NotFound) -> None:
    """Check that the caller may see a run about these entities; None are all there are.

    Raises:
        NotFound: it is about all, and the caller is limited to some: `missing` is what is raised.
        EntityForbidden: it is about others than the caller's.
    """
    if visible_entities() is None:
        return
    if legal_entity_ids is None:
        raise missing
    for entity_id in legal_entity_ids:
        require_entity(entity_id)
