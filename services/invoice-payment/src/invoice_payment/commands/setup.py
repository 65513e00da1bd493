"""Configuration: tax rules, rounding policies, accounts."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.amounts import RoundingPolicy
from invoice_payment.domain.journal import AccountRole
from invoice_payment.domain.tax import TaxRule, check_rule
from invoice_payment.repository import master, tax
from throughline_runtime import audit
from throughline_runtime.identity import require_entity, require_every_entity


async def put_tax_rule(tx: AsyncConnection, rule: TaxRule) -> TaxRule:
    """Store a tax rule, over one with the same match and first day if there is one.

    Raises:
        EntityForbidden: it concerns a legal entity the caller may not act for; of a country that
            none is in, it may concern any.
        RateNotZero, RateZero, ExemptionTextMissing, PeriodEmpty: see `domain.tax.check_rule`.
    """
    sellers = await master.entities_in(tx, rule.seller_country)
    if not sellers:
        require_every_entity()
    for legal_entity_id in sellers:
        require_entity(legal_entity_id)
    stored = await tax.put_rule(tx, check_rule(rule))
    audit.touch(tx, stored.tax_rule_id)
    return stored


async def put_policy(tx: AsyncConnection, legal_entity_id: UUID, policy: RoundingPolicy) -> int:
    """Set an entity's rounding policy from the next draft on; return the policy's version.

    Raises:
        EntityNotFound, EntityForbidden: no such entity for the caller.
    """
    require_entity(legal_entity_id)
    await master.entity(tx, legal_entity_id)
    audit.touch(tx, legal_entity_id)
    return await tax.put_policy(tx, legal_entity_id, policy)


async def put_account(
    tx: AsyncConnection, legal_entity_id: UUID, role: AccountRole, account: str
) -> int:
    """Set the account that plays a role from the next entry on; return the mapping's version.

    Raises:
        EntityNotFound, EntityForbidden: no such entity for the caller.
    """
    require_entity(legal_entity_id)
    await master.entity(tx, legal_entity_id)
    table = tables.account_mapping
    statement = (
        insert(table)
        .values(legal_entity_id=legal_entity_id, account_role=role, version=1, account=account)
        .on_conflict_do_update(
            index_elements=[table.c.legal_entity_id, table.c.account_role],
            set_={"version": table.c.version + 1, "account": account},
        )
        .returning(table.c.version)
    )
    audit.touch(tx, legal_entity_id)
    version: int = (await tx.execute(statement)).scalar_one()
    return version
