"""Configuration: tax rules, rounding policies, accounts."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.amounts import RoundingPolicy
from invoice_payment.domain.journal import AccountRole
from invoice_payment.domain.tax import TaxRule, check_rule
from invoice_payment.repository import master, tax
from throughline_runtime.identity import require_entity


async def put_tax_rule(tx: AsyncConnection, rule: TaxRule) -> TaxRule:
    """Store a tax rule, over one with the same match and first day if there is one.

    Raises:
        RateNotZero, RateZero, ExemptionTextMissing, PeriodEmpty: see `domain.tax.check_rule`.
    """
    return await tax.put_rule(tx, check_rule(rule))


async def put_policy(tx: AsyncConnection, legal_entity_id: UUID, policy: RoundingPolicy) -> int:
    """Set an entity's rounding policy from the next draft on; return the policy's version.

    Raises:
        EntityNotFound, EntityForbidden: no such entity for the caller.
    """
    require_entity(legal_entity_id)
    await master.entity(tx, legal_entity_id)
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
    version: int = (await tx.execute(statement)).scalar_one()
    return version
