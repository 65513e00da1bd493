"""Tax rules and rounding policies: configuration, in versions."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.amounts import RoundingPolicy, TaxTreatment
from invoice_payment.domain.tax import BuyerRegistration, TaxRule, replace_rule


async def put_rule(tx: AsyncConnection, rule: TaxRule) -> TaxRule:
    """Store the rule, over one with the same match and first day if there is one."""
    table = tables.tax_rule
    values = _values(rule)
    added = await tx.execute(insert(table).values(values).on_conflict_do_nothing())
    if added.rowcount == 1:
        return rule
    key = ("seller_country", "tax_category", "buyer_country", "buyer_registration", "valid_from")
    same = [table.c[name] == values[name] for name in key]
    row = (await tx.execute(select(table).where(*same).with_for_update())).one()
    replaced = replace_rule(rule_from(row), rule)
    await tx.execute(update(table).where(*same).values(_values(replaced)))
    return replaced


async def rules_of(tx: AsyncConnection, seller_country: str) -> tuple[TaxRule, ...]:
    """Return all rules for sellers of a country."""
    table = tables.tax_rule
    rows = await tx.execute(select(table).where(table.c.seller_country == seller_country))
    return tuple(rule_from(row) for row in rows)


async def policy_of(tx: AsyncConnection, legal_entity_id: UUID) -> tuple[RoundingPolicy, int]:
    """Return an entity's rounding policy and its version, 0 while the default holds."""
    table = tables.invoice_policy
    query = select(table).where(table.c.legal_entity_id == legal_entity_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return RoundingPolicy.EN16931, 0
    return RoundingPolicy(row.rounding_policy), row.version


async def put_policy(tx: AsyncConnection, legal_entity_id: UUID, policy: RoundingPolicy) -> int:
    """Store an entity's rounding policy and return its version."""
    table = tables.invoice_policy
    statement = (
        insert(table)
        .values(legal_entity_id=legal_entity_id, version=1, rounding_policy=policy)
        .on_conflict_do_update(
            index_elements=[table.c.legal_entity_id],
            set_={"version": table.c.version + 1, "rounding_policy": policy},
        )
        .returning(table.c.version)
    )
    version: int = (await tx.execute(statement)).scalar_one()
    return version


def rule_from(row: Row[Any]) -> TaxRule:
    """Return the rule a row of its table holds."""
    return TaxRule(
        tax_rule_id=row.tax_rule_id,
        version=row.version,
        seller_country=row.seller_country,
        buyer_country=row.buyer_country,
        buyer_registration=BuyerRegistration(row.buyer_registration),
        tax_category=row.tax_category,
        treatment=TaxTreatment(row.tax_code, row.rate_percent, row.exemption_reason),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def _values(rule: TaxRule) -> dict[str, object]:
    return {
        "tax_rule_id": rule.tax_rule_id,
        "version": rule.version,
        "seller_country": rule.seller_country,
        "buyer_country": rule.buyer_country,
        "buyer_registration": rule.buyer_registration,
        "tax_category": rule.tax_category,
        "tax_code": rule.treatment.tax_code,
        "rate_percent": rule.treatment.rate_percent,
        "exemption_reason": rule.treatment.exemption_reason,
        "valid_from": rule.valid_from,
        "valid_to": rule.valid_to,
    }
