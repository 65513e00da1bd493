"""Commands on data-quality rules."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import data_quality as domain
from customer_contract.domain.data_quality import Rule, RuleTerms
from customer_contract.domain.values import LegalEntityId
from customer_contract.repository import data_quality as repository
from customer_contract.repository import legal_entity as legal_entities
from throughline_runtime.identity import current_caller, require_entity, require_every_entity


async def put(tx: AsyncConnection, code: str, terms: RuleTerms, *, at: datetime) -> Rule:
    """Write the next version of a rule, which waits for a second person.

    Raises:
        FieldUnknown, ArgumentInvalid, ProposalOpen: see `domain.propose`.
        LegalEntityNotFound, EntityForbidden: for whose deals it would hold.
    """
    if terms.legal_entity_id is not None:
        await legal_entities.get(tx, terms.legal_entity_id)
    _require_scope(terms.legal_entity_id)
    latest = await repository.latest(tx, code)
    if latest is not None:
        _require_scope(latest.terms.legal_entity_id)
    rule = domain.propose(code, latest, terms, by=current_caller().subject, at=at)
    await repository.add(tx, rule)
    return rule


async def activate(tx: AsyncConnection, code: str, *, rule_version: int, at: datetime) -> Rule:
    """Put a version in force in place of the one before it.

    Raises:
        RuleNotFound, EntityForbidden: the version.
        NotProposed, OwnProposal: see `domain.activate`.
    """
    rule = await repository.get(tx, code, rule_version=rule_version)
    _require_scope(rule.terms.legal_entity_id)
    activated = domain.activate(rule, by=current_caller().subject, at=at)
    await repository.save(tx, activated)
    return activated


async def retire(tx: AsyncConnection, code: str, *, rule_version: int, reason: str) -> Rule:
    """Take a version back.

    Raises:
        RuleNotFound, EntityForbidden: the version.
        RuleRetired: see `domain.retire`.
    """
    rule = await repository.get(tx, code, rule_version=rule_version)
    _require_scope(rule.terms.legal_entity_id)
    retired = domain.retire(rule, reason=reason)
    await repository.save(tx, retired)
    return retired


def _require_scope(legal_entity_id: LegalEntityId | None) -> None:
    """Refuse a caller limited to other legal entities than those a rule holds for."""
    if legal_entity_id is None:
        require_every_entity()
    else:
        require_entity(legal_entity_id)
