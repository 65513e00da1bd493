"""Which legal entities a run over a scope is about."""

from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, exists, or_

from billing_event import tables


def is_over(run: Table, legal_entity_id: UUID) -> ColumnElement[bool]:
    """Return whether a run looks at what is of this legal entity.

    Its scope names the entity, or a contract that it invoices, or neither: then it looks at all
    entities its starter may see.
    """
    state, scope = tables.contract_state, run.c
    of_contract = exists().where(
        state.c.contract_id == scope.contract_id, state.c.legal_entity_id == legal_entity_id
    )
    sees_it = or_(
        scope.legal_entity_ids.is_(None), scope.legal_entity_ids.contains([legal_entity_id])
    )
    names_neither = and_(scope.legal_entity_id.is_(None), scope.contract_id.is_(None))
    return or_(
        scope.legal_entity_id == legal_entity_id,
        and_(scope.legal_entity_id.is_(None), of_contract),
        and_(names_neither, sees_it),
    )
