"""Cost rates: published versions of each legal entity's costs."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.cost_rate import (
    CostEntry,
    CostKey,
    CostRateCard,
    CostRateCardPublished,
)
from customer_contract.domain.values import CostRateCardId, LegalEntityId
from customer_contract.wire import cost_rate as wire
from throughline_core.change import Change
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_runtime import outbox

_ADD_ENTRIES: Final = text("""
    INSERT INTO cost_rate_entry (cost_rate_card_id, version, position, role, level, region,
                                 hourly_cost, valid_from, valid_to)
    SELECT :cost_rate_card_id, :version, position, role, level, region, hourly_cost, valid_from,
           valid_to
    FROM unnest(
        CAST(:roles AS text[]), CAST(:levels AS text[]), CAST(:regions AS text[]),
        CAST(:hourly_costs AS numeric[]), CAST(:valid_froms AS date[]), CAST(:valid_tos AS date[])
    ) WITH ORDINALITY AS entry (role, level, region, hourly_cost, valid_from, valid_to, position)
""")


class CostRateCardNotFound(NotFound):
    """There are no costs of this id, or not in this version."""

    code = "cost_rate.not_found"


def id_of(legal_entity_id: LegalEntityId) -> CostRateCardId:
    """Return the id of the one card a legal entity has."""
    return CostRateCardId(derived_id("cost_rate_card", legal_entity_id))


async def get(
    tx: AsyncConnection,
    cost_rate_card_id: CostRateCardId,
    *,
    version: int | None = None,
    known_at: datetime | None = None,
) -> CostRateCard:
    """Return a version of the card: the latest, or the latest known then, unless told.

    Raises:
        CostRateCardNotFound: there is none.
    """
    card = await find(tx, cost_rate_card_id, version=version, known_at=known_at)
    if card is None:
        which = "" if version is None else f" in version {version}"
        raise CostRateCardNotFound(
            f"there are no costs {cost_rate_card_id}{which}",
            field="cost_rate_card_id",
            advice="publish the costs of the legal entity",
        )
    return card


async def find(
    tx: AsyncConnection,
    cost_rate_card_id: CostRateCardId,
    *,
    version: int | None = None,
    known_at: datetime | None = None,
) -> CostRateCard | None:
    """Return a version of the card as `get` does, None where there is none."""
    table = tables.cost_rate_card
    query = select(table).where(table.c.cost_rate_card_id == cost_rate_card_id)
    if version is not None:
        query = query.where(table.c.version == version)
    if known_at is not None:
        query = query.where(table.c.published_at <= known_at)
    cards = await load(tx, query.order_by(table.c.version.desc()).limit(1))
    return cards[0] if cards else None


async def load(tx: AsyncConnection, query: Select[Any]) -> list[CostRateCard]:
    """Return the cards the query over `tables.cost_rate_card` yields, in its order."""
    rows = (await tx.execute(query)).all()
    if not rows:
        return []
    table = tables.cost_rate_entry
    keys = [(row.cost_rate_card_id, row.version) for row in rows]
    entries = await tx.execute(
        select(table)
        .where(tuple_(table.c.cost_rate_card_id, table.c.version).in_(keys))
        .order_by(table.c.cost_rate_card_id, table.c.version, table.c.position)
    )
    by_card: defaultdict[tuple[CostRateCardId, int], list[Row[Any]]] = defaultdict(list)
    for entry in entries:
        by_card[entry.cost_rate_card_id, entry.version].append(entry)
    return [_card_from(row, by_card[row.cost_rate_card_id, row.version]) for row in rows]


async def add(
    tx: AsyncConnection,
    change: Change[CostRateCard, CostRateCardPublished],
    *,
    proposed_by: str,
    published_by: str,
) -> None:
    """Write a published version with its costs and queue its events.

    Raises:
        StaleVersion: another writer published this version first.
    """
    card = change.state
    written = await tx.execute(
        insert(tables.cost_rate_card)
        .values(
            cost_rate_card_id=card.cost_rate_card_id,
            version=card.version,
            legal_entity_id=card.legal_entity_id,
            currency=card.currency,
            proposed_by=proposed_by,
            published_by=published_by,
            published_at=card.published_at,
        )
        .on_conflict_do_nothing()
    )
    if written.rowcount != 1:
        raise StaleVersion(f"the costs have got version {card.version} meanwhile")
    await tx.execute(
        _ADD_ENTRIES,
        {
            "cost_rate_card_id": card.cost_rate_card_id,
            "version": card.version,
            "roles": [entry.key.role for entry in card.entries],
            "levels": [entry.key.level for entry in card.entries],
            "regions": [entry.key.region for entry in card.entries],
            "hourly_costs": [entry.hourly_cost.amount for entry in card.entries],
            "valid_froms": [entry.valid_from for entry in card.entries],
            "valid_tos": [entry.valid_to for entry in card.entries],
        },
    )
    await outbox.append(tx, map(wire.write_event, change.events))


def _card_from(row: Row[Any], entries: Sequence[Row[Any]]) -> CostRateCard:
    return CostRateCard(
        CostRateCardId(row.cost_rate_card_id),
        row.version,
        LegalEntityId(row.legal_entity_id),
        row.currency,
        tuple(
            CostEntry(
                CostKey(entry.role, entry.level, entry.region),
                Money(entry.hourly_cost, row.currency),
                entry.valid_from,
                entry.valid_to,
            )
            for entry in entries
        ),
        row.published_at,
    )
