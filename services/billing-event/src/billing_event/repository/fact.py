"""Terms, rate cards and customers, as other services announced them; they count their changes."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.source import ContractId, CustomerId
from billing_event.domain.terms import (
    ContractTerms,
    CustomerState,
    Facts,
    TaxStatus,
)
from billing_event.wire.received import read_card, read_terms
from throughline.customer_contract.v1 import contract_pb2, rate_card_pb2

_RAISE_EPOCH: Final = text("UPDATE fact_epoch SET epoch = epoch + 1 RETURNING epoch")

_ADD_TERMS: Final = tables.insert_of(
    tables.contract_terms, "ON CONFLICT DO NOTHING RETURNING contract_id, contract_version"
)
_ADD_CARDS: Final = tables.insert_of(
    tables.rate_card, "ON CONFLICT DO NOTHING RETURNING rate_card_id"
)

_PUT_CUSTOMERS: Final = tables.insert_of(
    tables.customer_state,
    """ON CONFLICT (customer_id) DO UPDATE SET
        version = EXCLUDED.version, is_on_credit_hold = EXCLUDED.is_on_credit_hold,
        credit_hold_reason = EXCLUDED.credit_hold_reason, tax_status = EXCLUDED.tax_status,
        epoch = EXCLUDED.epoch
    WHERE customer_state.version < EXCLUDED.version
    RETURNING customer_id""",
)

# The epoch is read first: whatever facts the statements after this one see are at least as new.
_TERMS: Final = text("""
    SELECT fact_epoch.epoch, known.terms
    FROM fact_epoch LEFT JOIN LATERAL (
        SELECT DISTINCT ON (contract_id) terms FROM contract_terms
        WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
        ORDER BY contract_id, contract_version DESC
    ) AS known ON true
""")

_CARDS: Final = text("""
    SELECT DISTINCT ON (rate_card_id) card FROM rate_card
    WHERE rate_card_id = ANY(CAST(:rate_card_ids AS uuid[]))
       OR (legal_entity_id IS NULL OR legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
      AND (customer_id IS NULL OR customer_id = ANY(CAST(:customer_ids AS uuid[])))
    ORDER BY rate_card_id, version DESC
""")


async def raise_epoch(tx: AsyncConnection) -> int:
    """Count one more change of facts and return the count; other such changes wait meanwhile."""
    return int((await tx.execute(_RAISE_EPOCH)).scalar_one())


async def add_terms(
    tx: AsyncConnection,
    contracts: Sequence[contract_pb2.Contract],
    *,
    epoch: int,
    at: datetime,
) -> list[ContractTerms]:
    """Keep versions of terms, and return those that are new and the latest of their contract."""
    by_version = {}
    for contract in contracts:
        terms = read_terms(contract)
        by_version[terms.contract_id, terms.contract_version] = terms, contract
    found = list(by_version.values())
    added = await tx.execute(
        _ADD_TERMS,
        {
            "contract_id": [terms.contract_id for terms, _ in found],
            "contract_version": [terms.contract_version for terms, _ in found],
            "bill_to_customer_id": [terms.bill_to_customer_id for terms, _ in found],
            "legal_entity_id": [terms.legal_entity_id for terms, _ in found],
            "time_zone": [terms.time_zone for terms, _ in found],
            "terms": [contract.SerializeToString() for _, contract in found],
            "epoch": [epoch] * len(found),
            "recorded_at": [at] * len(found),
        },
    )
    new = {(row.contract_id, row.contract_version) for row in added}
    facts = await load_terms(tx, [contract_id for contract_id, _ in new])
    return [
        terms for terms in facts[1].values() if (terms.contract_id, terms.contract_version) in new
    ]


async def add_cards(
    tx: AsyncConnection, cards: Sequence[rate_card_pb2.RateCard], *, epoch: int, at: datetime
) -> None:
    """Keep versions of rate cards."""
    by_version = {(card.rate_card_id, card.version): card for card in cards}
    found = [(read_card(card), card) for card in by_version.values()]
    await tx.execute(
        _ADD_CARDS,
        {
            "rate_card_id": [card.rate_card_id for card, _ in found],
            "version": [card.version for card, _ in found],
            "legal_entity_id": [card.legal_entity_id for card, _ in found],
            "customer_id": [card.customer_id for card, _ in found],
            "card": [message.SerializeToString() for _, message in found],
            "epoch": [epoch] * len(found),
            "recorded_at": [at] * len(found),
        },
    )


async def put_customers(
    tx: AsyncConnection, customers: Iterable[CustomerState], *, epoch: int
) -> list[CustomerState]:
    """Keep the latest state of customers, and return those that were news."""
    latest: dict[CustomerId, CustomerState] = {}
    for customer in customers:
        known = latest.get(customer.customer_id)
        if known is None or known.version < customer.version:
            latest[customer.customer_id] = customer
    found = [latest[customer_id] for customer_id in sorted(latest)]
    put = await tx.execute(
        _PUT_CUSTOMERS,
        {
            "customer_id": [each.customer_id for each in found],
            "version": [each.version for each in found],
            "is_on_credit_hold": [each.is_on_credit_hold for each in found],
            "credit_hold_reason": [each.credit_hold_reason for each in found],
            "tax_status": [each.tax_status for each in found],
            "epoch": [epoch] * len(found),
        },
    )
    return [latest[customer_id] for customer_id in put.scalars()]


async def load_terms(
    tx: AsyncConnection, contract_ids: Collection[ContractId]
) -> tuple[int, dict[ContractId, ContractTerms]]:
    """Return the count of facts, and the latest terms of each contract that has any."""
    rows = (await tx.execute(_TERMS, {"contract_ids": list(contract_ids)})).all()
    known = [read_terms(contract_pb2.Contract.FromString(row.terms)) for row in rows if row.terms]
    return rows[0].epoch, {terms.contract_id: terms for terms in known}


async def load_facts(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> Facts:
    """Return all that work under these contracts is rated by: three queries, however many."""
    epoch, terms = await load_terms(tx, contract_ids)
    cards = await tx.execute(
        _CARDS,
        {
            "rate_card_ids": [each.rate_card_id for each in terms.values() if each.rate_card_id],
            "legal_entity_ids": list({each.legal_entity_id for each in terms.values()}),
            "customer_ids": list({each.customer_id for each in terms.values()}),
        },
    )
    state = tables.customer_state
    payers = {each.bill_to_customer_id for each in terms.values()}
    customers = await tx.execute(select(state).where(state.c.customer_id.in_(payers)))
    return Facts(
        epoch,
        terms,
        [read_card(rate_card_pb2.RateCard.FromString(card)) for card in cards.scalars()],
        {row.customer_id: _customer_from(row) for row in customers},
    )


def _customer_from(row: Row[Any]) -> CustomerState:
    return CustomerState(
        row.customer_id,
        row.version,
        row.is_on_credit_hold,
        row.credit_hold_reason,
        TaxStatus(row.tax_status),
    )
