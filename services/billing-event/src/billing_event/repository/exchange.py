"""Rates of exchange as they were announced, and the policies by which they are used."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.agreement import Facts
from billing_event.domain.exchange import (
    DAYS_MAX_LIMIT,
    DateRule,
    Exchange,
    ExchangePolicy,
    Quotation,
)
from billing_event.domain.source import ItemType, LegalEntityId, SourceItem
from throughline_core.errors import StaleVersion

# The end of the month before a day is at most a month back, and a rate may be a month older yet.
_REACH: Final = timedelta(days=31 + DAYS_MAX_LIMIT)

_ADD_RATES: Final = tables.insert_of(tables.exchange_rate, "ON CONFLICT DO NOTHING")

# A rate is found by a base that quotes both currencies, so what counts is the quoted one.
_RATES: Final = text("""
    SELECT base, quote, rate_on, source, rate FROM exchange_rate
    WHERE rate_on BETWEEN :first AND :last AND quote = ANY(CAST(:currencies AS text[]))
""")

_POLICIES: Final = text("""
    SELECT policy.*, fixed.base, fixed.quote, fixed.rate
    FROM exchange_policy AS policy LEFT JOIN fixed_exchange_rate AS fixed USING (legal_entity_id)
    WHERE policy.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[]))
    ORDER BY policy.legal_entity_id, fixed.base, fixed.quote
""")


async def add_rates(
    tx: AsyncConnection, quotations: Iterable[Quotation], *, epoch: int, at: datetime
) -> None:
    """Keep rates; the first one of a pair, day and source stays."""
    keys = {(each.rate_on, each.source, each.base, each.quote): each for each in quotations}
    found = list(keys.values())
    await tx.execute(
        _ADD_RATES,
        {
            "rate_on": [each.rate_on for each in found],
            "source": [each.source for each in found],
            "base": [each.base for each in found],
            "quote": [each.quote for each in found],
            "rate": [each.rate for each in found],
            "epoch": [epoch] * len(found),
            "recorded_at": [at] * len(found),
        },
    )


async def with_exchange(tx: AsyncConnection, facts: Facts, items: Sequence[SourceItem]) -> Facts:
    """Return the facts with the rates these things may need; most batches need none.

    Two statements where some price is in another currency than its contract, none elsewhere.
    """
    needed = [item for item in items if _is_foreign(facts, item)]
    if not needed:
        return facts
    agreements = facts.agreements
    terms = [agreements[item.contract_id].newest for item in needed if item.contract_id is not None]
    currencies = {each.currency for each in terms} | {card.currency for card in facts.cards}
    for item in needed:
        currencies |= {
            each.currency for each in (item.price, item.receipt_price) if each is not None
        }
    days = [item.service_from for item in needed]
    exchange = await load_exchange(
        tx,
        {each.legal_entity_id for each in terms},
        currencies,
        first=min(days) - _REACH,
        last=max(days),
    )
    return replace(facts, exchange=exchange)


async def load_exchange(
    tx: AsyncConnection,
    legal_entity_ids: Collection[UUID],
    currencies: Collection[str],
    *,
    first: date,
    last: date,
) -> Exchange:
    """Return the rates of these days that convert between the currencies, and the policies."""
    policies = await load_policies(tx, legal_entity_ids)
    values = {"first": first, "last": last, "currencies": list(currencies)}
    rates = await tx.execute(_RATES, values)
    found = (Quotation(row.base, row.quote, row.rate_on, row.source, row.rate) for row in rates)
    return Exchange(policies, found)


async def load_policies(
    tx: AsyncConnection, legal_entity_ids: Collection[UUID]
) -> dict[LegalEntityId, ExchangePolicy]:
    """Return the policies that were set, by legal entity."""
    rows = (await tx.execute(_POLICIES, {"legal_entity_ids": list(legal_entity_ids)})).all()
    return {
        entity_id: _policy_from(list(group))
        for entity_id, group in groupby(rows, key=lambda row: row.legal_entity_id)
    }


async def policies_after(
    tx: AsyncConnection,
    after: UUID | None,
    *,
    limit: int,
    legal_entity_ids: Collection[UUID] | None,
) -> list[ExchangePolicy]:
    """Return policies that were set, by legal entity, at most `limit` past `after`."""
    table = tables.exchange_policy
    query = select(table.c.legal_entity_id).order_by(table.c.legal_entity_id).limit(limit)
    if after is not None:
        query = query.where(table.c.legal_entity_id > after)
    if legal_entity_ids is not None:
        query = query.where(table.c.legal_entity_id.in_(legal_entity_ids))
    found = list((await tx.execute(query)).scalars())
    return list((await load_policies(tx, found)).values())


async def save_policy(tx: AsyncConnection, policy: ExchangePolicy, *, epoch: int) -> None:
    """Write the policy with its fixed rates.

    Raises:
        StaleVersion: somebody else changed it first.
    """
    table, fixed = tables.exchange_policy, tables.fixed_exchange_rate
    values = {
        "version": policy.version,
        "rule": policy.rule,
        "days_max": policy.days_max,
        "source": policy.source,
        "set_by": policy.set_by,
        "set_at": policy.set_at,
        "epoch": epoch,
    }
    written = await tx.execute(
        insert(table)
        .values(legal_entity_id=policy.legal_entity_id, **values)
        .on_conflict_do_update(
            index_elements=[table.c.legal_entity_id],
            set_=values,
            where=table.c.version == policy.version - 1,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"exchange policy of {policy.legal_entity_id} was changed meanwhile")
    await tx.execute(delete(fixed).where(fixed.c.legal_entity_id == policy.legal_entity_id))
    if policy.fixed_rates:
        rows = [
            {"legal_entity_id": policy.legal_entity_id, "base": base, "quote": quote, "rate": rate}
            for (base, quote), rate in policy.fixed_rates.items()
        ]
        await tx.execute(insert(fixed).values(rows))


def _is_foreign(facts: Facts, item: SourceItem) -> bool:
    """Whether the price of a thing may have to be converted."""
    if item.contract_id is None or item.contract_id not in facts.agreements:
        return False
    currency = facts.agreements[item.contract_id].newest.currency
    if item.type is ItemType.TIME:
        return any(card.currency != currency for card in facts.cards)
    prices = [each for each in (item.price, item.receipt_price) if each is not None]
    return bool(prices) and all(each.currency != currency for each in prices)


def _policy_from(rows: Sequence[Row[Any]]) -> ExchangePolicy:
    first = rows[0]
    return ExchangePolicy(
        first.legal_entity_id,
        first.version,
        DateRule(first.rule),
        first.days_max,
        first.source,
        {(row.base, row.quote): row.rate for row in rows if row.base is not None},
        first.set_by,
        first.set_at,
    )
