"""What entities owe each other, and the work that waits to be charged."""

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.intercompany import Charge, IntercompanyChargeId, Work
from billing_event.domain.source import ContractId, LegalEntityId, SourceItemId
from billing_event.domain.terms import RateCard
from billing_event.wire.facts import read_card
from throughline.customer_contract.v1 import rate_card_pb2
from throughline_core.money import Money

# The epoch is read first: whatever facts the statements after this one see are at least as new.
_SELLERS: Final = text("""
    SELECT fact_epoch.epoch, contract.contract_id, contract.legal_entity_id
    FROM fact_epoch LEFT JOIN contract_state AS contract
      ON contract.contract_id = ANY(CAST(:contract_ids AS uuid[]))
""")

# Work and what takes it back may be taken in at the same moment: one of the two has to see the
# other. A few gates stand for all things, because the server's lock table is small.
_CLOSE_GATES: Final = text(
    "SELECT pg_advisory_xact_lock(:class, gate) FROM unnest(CAST(:gates AS int[])) AS gate"
)
_GATE_CLASS: Final = 0x6C65_6E64
_GATES: Final = 64

_TAKERS: Final = text("""
    SELECT DISTINCT ON (reverses_source_item_id) reverses_source_item_id AS original_id,
           source_item_id AS taker_id
    FROM source_item
    WHERE reverses_source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ORDER BY reverses_source_item_id, recorded_at, source_item_id
""")

_CARDS: Final = text("""
    SELECT DISTINCT ON (rate_card_id) card FROM rate_card
    WHERE purpose = 'transfer' AND legal_entity_id = ANY(CAST(:lending_entity_ids AS uuid[]))
    ORDER BY rate_card_id, version DESC
""")

_CHARGES: Final = text("""
    SELECT * FROM intercompany_charge
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
      AND reverses_intercompany_charge_id IS NULL
    ORDER BY intercompany_charge_id
""")

_ADD_CHARGES: Final = tables.insert_of(
    tables.intercompany_charge, "ON CONFLICT DO NOTHING RETURNING intercompany_charge_id"
)

_PUT_WAITS: Final = tables.insert_of(
    tables.intercompany_wait,
    """ON CONFLICT (source_item_id) DO UPDATE SET
        borrowing_entity_id = EXCLUDED.borrowing_entity_id, epoch = EXCLUDED.epoch""",
)

_END_WAITS: Final = text("""
    DELETE FROM intercompany_wait WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")

_DUE: Final = text("""
    SELECT source_item_id
    FROM intercompany_wait AS wait JOIN contract_state AS contract USING (contract_id)
    WHERE contract.epoch > wait.epoch
       OR wait.epoch < (SELECT max(epoch) FROM rate_card WHERE purpose = 'transfer')
    ORDER BY source_item_id LIMIT :limit
""")

_UNPRICED: Final = text("""
    SELECT lending_entity_id, borrowing_entity_id, count(*) AS items, sum(minutes) AS minutes,
           min(work_date) AS since, array_agg(DISTINCT role ORDER BY role) AS roles
    FROM intercompany_wait WHERE borrowing_entity_id IS NOT NULL
    GROUP BY lending_entity_id, borrowing_entity_id
""")

_CHARGE_FIELDS: Final = (
    "intercompany_charge_id",
    "source_item_id",
    "lending_entity_id",
    "borrowing_entity_id",
    "contract_id",
    "contract_line_id",
    "engagement_id",
    "correlation_id",
    "work_date",
    "person_id",
    "role",
    "minutes",
    "quantity",
    "rate_card_id",
    "rate_card_version",
    "rated_at",
)


async def load_sellers(
    tx: AsyncConnection, contract_ids: Collection[ContractId]
) -> tuple[int, dict[ContractId, LegalEntityId]]:
    """Return the count of facts, and the selling entity of each contract that is known."""
    rows = (await tx.execute(_SELLERS, {"contract_ids": list(contract_ids)})).all()
    return rows[0].epoch, {
        row.contract_id: row.legal_entity_id for row in rows if row.contract_id is not None
    }


async def lock(tx: AsyncConnection, source_item_ids: Iterable[SourceItemId]) -> None:
    """Wait for whoever takes in the same work, or takes it back, at this moment."""
    gates = sorted({source_item_id.int % _GATES for source_item_id in source_item_ids})
    await tx.execute(_CLOSE_GATES, {"class": _GATE_CLASS, "gates": gates})


async def load_takers(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId]
) -> dict[SourceItemId, SourceItemId]:
    """Return what takes these things back, the first of each."""
    rows = await tx.execute(_TAKERS, {"source_item_ids": list(source_item_ids)})
    return {row.original_id: row.taker_id for row in rows}


async def load_cards(
    tx: AsyncConnection, lending_entity_ids: Collection[LegalEntityId]
) -> list[RateCard]:
    """Return the transfer cards of these entities, each at its latest version."""
    rows = await tx.execute(_CARDS, {"lending_entity_ids": list(lending_entity_ids)})
    return [read_card(rate_card_pb2.RateCard.FromString(card)) for card in rows.scalars()]


async def load_charges(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId]
) -> list[Charge]:
    """Return the charges for these things that take no other back."""
    rows = await tx.execute(_CHARGES, {"source_item_ids": list(source_item_ids)})
    return [charge_from(row) for row in rows]


async def add_charges(tx: AsyncConnection, charges: Sequence[Charge]) -> list[Charge]:
    """Write charges, and return those that were not written before."""
    columns: dict[str, Any] = {
        name: list(map(attrgetter(name), charges)) for name in _CHARGE_FIELDS
    }
    columns["unit_rate"] = [charge.unit_rate.amount for charge in charges]
    columns["amount"] = [charge.amount.amount for charge in charges]
    columns["currency"] = [charge.amount.currency for charge in charges]
    columns["rate_explanation"] = [charge.explanation for charge in charges]
    columns["reverses_intercompany_charge_id"] = [charge.reverses for charge in charges]
    added: set[IntercompanyChargeId] = set((await tx.execute(_ADD_CHARGES, columns)).scalars())
    return [charge for charge in charges if charge.intercompany_charge_id in added]


async def put_waits(tx: AsyncConnection, waiting: Sequence[Work], *, epoch: int) -> None:
    """Keep work that is not charged by the facts of `epoch`."""
    await tx.execute(
        _PUT_WAITS,
        {
            "source_item_id": [work.item.source_item_id for work in waiting],
            "contract_id": [work.contract_id for work in waiting],
            "lending_entity_id": [work.lending_entity_id for work in waiting],
            "borrowing_entity_id": [work.borrowing_entity_id for work in waiting],
            "work_date": [work.item.service_from for work in waiting],
            "role": [work.item.role for work in waiting],
            "minutes": [work.item.minutes for work in waiting],
            "epoch": [epoch] * len(waiting),
        },
    )


async def end_waits(tx: AsyncConnection, source_item_ids: Collection[SourceItemId]) -> None:
    """Let go what was charged, or never will be."""
    await tx.execute(_END_WAITS, {"source_item_ids": list(source_item_ids)})


async def due(tx: AsyncConnection, *, limit: int) -> list[SourceItemId]:
    """Return waiting work whose contract or cards changed since it was last looked at."""
    return list((await tx.execute(_DUE, {"limit": limit})).scalars())


async def unpriced(tx: AsyncConnection) -> Sequence[Row[Any]]:
    """Return what waits for a transfer card, by lending and borrowing entity."""
    return (await tx.execute(_UNPRICED)).all()


def charge_from(row: Row[Any]) -> Charge:
    """Return the charge of a row of `intercompany_charge`."""
    return Charge(
        **{name: getattr(row, name) for name in _CHARGE_FIELDS},
        unit_rate=Money(row.unit_rate, row.currency),
        amount=Money(row.amount, row.currency),
        explanation=row.rate_explanation,
        reverses=row.reverses_intercompany_charge_id,
    )
