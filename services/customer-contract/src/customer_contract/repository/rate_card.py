"""Rate cards: published versions with their rates."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, Select, select, text, tuple_
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.rate_card import (
    CardPurpose,
    CardScope,
    Deal,
    RateCard,
    RateCardPublished,
    RateEntry,
    RateKey,
)
from customer_contract.domain.service_line import ActivityMultiplier
from customer_contract.domain.values import RateCardId
from customer_contract.wire import rate_card as wire
from throughline_core.change import Change
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.money import Money
from throughline_runtime import outbox

_ADD_ENTRIES: Final = text("""
    INSERT INTO rate_card_entry (rate_card_id, version, position, role, level, region, person_id,
                                 hourly_rate, valid_from, valid_to)
    SELECT :rate_card_id, :version, position, role, level, region, person_id, hourly_rate,
           valid_from, valid_to
    FROM unnest(
        CAST(:roles AS text[]), CAST(:levels AS text[]), CAST(:regions AS text[]),
        CAST(:person_ids AS uuid[]), CAST(:hourly_rates AS numeric[]),
        CAST(:valid_froms AS date[]), CAST(:valid_tos AS date[])
    ) WITH ORDINALITY AS entry (role, level, region, person_id, hourly_rate, valid_from, valid_to,
                                position)
""")


class RateCardNotFound(NotFound):
    """There is no rate card of this id, or not in this version."""

    code = "rate_card.not_found"


async def get(
    tx: AsyncConnection, rate_card_id: RateCardId, *, version: int | None = None
) -> RateCard:
    """Return a version of the card, the latest unless told.

    Raises:
        RateCardNotFound: there is none.
    """
    card = await find(tx, rate_card_id, version=version)
    if card is None:
        which = "" if version is None else f" in version {version}"
        raise RateCardNotFound(f"there is no rate card {rate_card_id}{which}", field="rate_card_id")
    return card


async def find(
    tx: AsyncConnection, rate_card_id: RateCardId, *, version: int | None = None
) -> RateCard | None:
    """Return a version of the card, the latest unless told, None where there is none."""
    table = tables.rate_card
    query = select(table).where(table.c.rate_card_id == rate_card_id)
    if version is not None:
        query = query.where(table.c.version == version)
    cards = await load(tx, query.order_by(table.c.version.desc()).limit(1))
    return cards[0] if cards else None


async def in_scope(
    tx: AsyncConnection, deal: Deal, *, known_at: datetime | None = None
) -> Sequence[RateCard]:
    """Return every card that may price hours of the deal, each at the version known then."""
    table = tables.rate_card
    owned_by_customer = table.c.customer_id == deal.customer_id
    owned_by_us = table.c.customer_id.is_(None)
    right_entity = table.c.legal_entity_id.is_(None) | (
        table.c.legal_entity_id == deal.legal_entity_id
    )
    query = (
        select(table)
        .ext(distinct_on(table.c.rate_card_id))
        .where(
            table.c.currency == deal.currency,
            table.c.purpose == CardPurpose.BILLING,
            (table.c.rate_card_id == deal.rate_card_id)
            | ((owned_by_customer | owned_by_us) & right_entity),
        )
        .order_by(table.c.rate_card_id, table.c.version.desc())
    )
    if known_at is not None:
        query = query.where(table.c.published_at <= known_at)
    return await load(tx, query)


async def load(tx: AsyncConnection, query: Select[Any]) -> list[RateCard]:
    """Return the cards the query over `tables.rate_card` yields, in its order, with their rates."""
    rows = (await tx.execute(query)).all()
    if not rows:
        return []
    table = tables.rate_card_entry
    keys = [(row.rate_card_id, row.version) for row in rows]
    entries = await tx.execute(
        select(table)
        .where(tuple_(table.c.rate_card_id, table.c.version).in_(keys))
        .order_by(table.c.rate_card_id, table.c.version, table.c.position)
    )
    by_card: defaultdict[tuple[RateCardId, int], list[Row[Any]]] = defaultdict(list)
    for entry in entries:
        by_card[entry.rate_card_id, entry.version].append(entry)
    return [_card_from(row, by_card[row.rate_card_id, row.version]) for row in rows]


async def add(tx: AsyncConnection, change: Change[RateCard, RateCardPublished]) -> None:
    """Write a published version with its rates and queue its events.

    Raises:
        StaleVersion: another writer published this version first.
    """
    card = change.state
    written = await tx.execute(
        insert(tables.rate_card)
        .values(
            rate_card_id=card.rate_card_id,
            version=card.version,
            code=card.code,
            name=card.name,
            currency=card.scope.currency,
            legal_entity_id=card.scope.legal_entity_id,
            customer_id=card.scope.customer_id,
            purpose=card.scope.purpose,
            borrowing_legal_entity_id=card.scope.borrowing_legal_entity_id,
            published_at=card.published_at,
            published_by=card.published_by,
            proposed_by=card.proposed_by,
            multipliers=[[one.activity, f"{one.factor:f}"] for one in card.multipliers],
        )
        .on_conflict_do_nothing()
    )
    if written.rowcount != 1:
        raise StaleVersion(f"rate card {card.code} has got version {card.version} meanwhile")
    await tx.execute(
        _ADD_ENTRIES,
        {
            "rate_card_id": card.rate_card_id,
            "version": card.version,
            "roles": [entry.key.role for entry in card.entries],
            "levels": [entry.key.level for entry in card.entries],
            "regions": [entry.key.region for entry in card.entries],
            "person_ids": [entry.key.person_id for entry in card.entries],
            "hourly_rates": [entry.hourly_rate.amount for entry in card.entries],
            "valid_froms": [entry.valid_from for entry in card.entries],
            "valid_tos": [entry.valid_to for entry in card.entries],
        },
    )
    await outbox.append(tx, map(wire.write_event, change.events))


def _card_from(row: Row[Any], entries: Sequence[Row[Any]]) -> RateCard:
    return RateCard(
        rate_card_id=RateCardId(row.rate_card_id),
        version=row.version,
        code=row.code,
        name=row.name,
        scope=CardScope(
            row.currency,
            row.legal_entity_id,
            row.customer_id,
            CardPurpose(row.purpose),
            row.borrowing_legal_entity_id,
        ),
        entries=tuple(
            RateEntry(
                RateKey(entry.role, entry.level, entry.region, entry.person_id),
                Money(entry.hourly_rate, row.currency),
                entry.valid_from,
                entry.valid_to,
            )
            for entry in entries
        ),
        published_at=row.published_at,
        multipliers=tuple(
            ActivityMultiplier(activity, Decimal(factor)) for activity, factor in row.multipliers
        ),
        proposed_by=row.proposed_by,
        published_by=row.published_by,
    )
