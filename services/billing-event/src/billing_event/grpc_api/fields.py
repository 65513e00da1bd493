"""Fields that several services read in one way."""

from collections.abc import Collection
from uuid import UUID

from billing_event.domain.source import ContractId, ContractLineId, SourceItemId
from throughline_runtime.fields import read_optional_uuid
from throughline_runtime.identity import require_entity, visible_entities


def read_entities(wanted: str) -> Collection[UUID] | None:
    """Return the legal entities to look at: the one asked for, or all the caller may see."""
    entity_id = read_entity_id(wanted)
    return visible_entities() if entity_id is None else [entity_id]


def read_entity_id(wanted: str) -> UUID | None:
    """Return the legal entity asked for, which the caller may see."""
    entity_id = read_optional_uuid("legal_entity_id", wanted)
    if entity_id is not None:
        require_entity(entity_id)
    return entity_id


def read_contract_id(value: str) -> ContractId | None:
    found = read_optional_uuid("contract_id", value)
    return None if found is None else ContractId(found)


def read_line_id(value: str) -> ContractLineId | None:
    found = read_optional_uuid("contract_line_id", value)
    return None if found is None else ContractLineId(found)


def read_item_id(value: str) -> SourceItemId | None:
    found = read_optional_uuid("source_item_id", value)
    return None if found is None else SourceItemId(found)
