"""Terms, rate cards and customers, as other services announced them; they count their changes."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.agreement import Agreement, Ending, Facts
from billing_event.domain.payer import payers_of
from billing_event.domain.source import ContractId, CustomerId
from billing_event.domain.terms import ContractTerms, CustomerState, TaxStatus
from billing_event.wire.facts import read_card, read_ending, read_terms
from throughline.customer_contract.v1 import contract_pb2, rate_card_pb2

_RAISE_EPOCH: Final = text("UPDATE fact_epoch SET epoch = epoch + 1 RETURNING epoch")

_ADD_TERMS: Final = tables.insert_of(tables.contract_terms, "ON CONFLICT DO NOTHING")

# Whatever is new, terms or state, raises the epoch of the contract; an end is never taken back.
_PUT_STATES: Final = tables.insert_of(
    tables.contract_state,
    """ON CONFLICT (contract_id) DO UPDATE SET
        version = greatest(contract_state.version, EXCLUDED.version),
        first_version = coalesce(contract_state.first_version, EXCLUDED.first_version),
        bill_to_customer_id = CASE
            WHEN contract_state.newest_version <= EXCLUDED.newest_version
            THEN EXCLUDED.bill_to_customer_id ELSE contract_state.bill_to_customer_id END,
        newest_version = greatest(contract_state.newest_version, EXCLUDED.newest_version),
        ended_on = coalesce(EXCLUDED.ended_on, contract_state.ended_on),
        ended_early = contract_state.ended_early OR EXCLUDED.ended_early,
        ended_detail = CASE WHEN EXCLUDED.ended_on IS NULL THEN contract_state.ended_detail
                            ELSE EXCLUDED.ended_detail END,
        epoch = EXCLUDED.epoch
    WHERE contract_state.version < EXCLUDED.version
       OR contract_state.newest_version < EXCLUDED.newest_version
       OR contract_state.first_version IS NULL AND EXCLUDED.first_version IS NOT NULL
       OR NOT EXISTS (SELECT FROM contract_terms AS known
                      WHERE known.contract_id = EXCLUDED.contract_id
                        AND known.contract_version = EXCLUDED.newest_version)
    RETURNING contract_id""",
)
_ADD_CARDS: Final = tables.insert_of(
    tables.rate_card, "ON CONFLICT DO NOTHING RETURNING rate_card_id"
)

_ADD_PAYERS: Final = tables.insert_of(tables.contract_payer, "ON CONFLICT DO NOTHING")

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
_AGREEMENTS: Final = text("""
    SELECT fact_epoch.epoch, known.*
    FROM fact_epoch LEFT JOIN LATERAL (
        SELECT contract_id, contract_version, terms, first_version, ended_on, ended_early,
               ended_detail
        FROM contract_terms JOIN contract_state USING (contract_id)
        WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ) AS known ON true
    ORDER BY known.contract_id, known.contract_version
""")

_CARDS: Final = text("""
    SELECT DISTINCT ON (rate_card_id) card FROM rate_card
    WHERE purpose = 'billing'
      AND (rate_card_id = ANY(CAST(:rate_card_ids AS uuid[]))
           OR (legal_entity_id IS NULL
               OR legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
          AND (customer_id IS NULL OR customer_id = ANY(CAST(:customer_ids AS uuid[]))))
    ORDER BY rate_card_id, version DESC
""")


async def raise_epoch(tx: AsyncConnection) -> int:
    """Count one more change of facts and return the count; other such changes wait meanwhile."""
    return int((await tx.execute(_RAISE_EPOCH)).scalar_one())


@dataclass(frozen=True, slots=True)
class Told:
    """A contract as an event told of it; `is_first` if that is how it came into force."""

    contract: contract_pb2.Contract
    is_first: bool = False


async def add_terms(
    tx: AsyncConnection, told: Sequence[Told], *, epoch: int, at: datetime
) -> list[Agreement]:
    """Keep versions of terms and how far contracts have come; return the contracts with news."""
    found = [(read_terms(each.contract), each) for each in told]
    by_version = {
        (terms.contract_id, terms.contract_version): (terms, each) for terms, each in found
    }
    news = await _put_states(tx, found, epoch=epoch)
    versions = list(by_version.values())
    await tx.execute(
        _ADD_TERMS,
        {
            "contract_id": [terms.contract_id for terms, _ in versions],
            "contract_version": [terms.contract_version for terms, _ in versions],
            "bill_to_customer_id": [terms.bill_to_customer_id for terms, _ in versions],
            "legal_entity_id": [terms.legal_entity_id for terms, _ in versions],
            "time_zone": [terms.time_zone for terms, _ in versions],
            "terms": [each.contract.SerializeToString() for _, each in versions],
            "epoch": [epoch] * len(versions),
            "recorded_at": [at] * len(versions),
        },
    )
    await _add_payers(tx, [terms for terms, _ in versions])
    if not news:
        return []
    _, agreements = await load_agreements(tx, news)
    return list(agreements.values())


async def _add_payers(tx: AsyncConnection, versions: Sequence[ContractTerms]) -> None:
    """Keep who pays under which contract: their credit and tax decide about its rows."""
    pairs = sorted({(each.contract_id, payer) for each in versions for payer in payers_of([each])})
    await tx.execute(
        _ADD_PAYERS,
        {
            "contract_id": [contract_id for contract_id, _ in pairs],
            "customer_id": [payer for _, payer in pairs],
        },
    )


async def _put_states(
    tx: AsyncConnection, found: Sequence[tuple[ContractTerms, Told]], *, epoch: int
) -> set[ContractId]:
    """Keep what each event says of its contract, one after the other where several are of one."""
    news: set[ContractId] = set()
    waves: list[list[tuple[ContractTerms, Told]]] = []
    seen: Counter[ContractId] = Counter()
    for terms, each in found:
        if seen[terms.contract_id] == len(waves):
            waves.append([])
        waves[seen[terms.contract_id]].append((terms, each))
        seen[terms.contract_id] += 1
    for wave in waves:
        put = await tx.execute(_PUT_STATES, _state_columns(wave, epoch=epoch))
        news.update(put.scalars())
    return news


def _state_columns(
    wave: Sequence[tuple[ContractTerms, Told]], *, epoch: int
) -> dict[str, list[Any]]:
    ordered = sorted(wave, key=lambda each: each[0].contract_id)
    terms = [each for each, _ in ordered]
    endings = [read_ending(told.contract) for _, told in ordered]
    return {
        "contract_id": [each.contract_id for each in terms],
        "version": [told.contract.version for _, told in ordered],
        "first_version": [
            each.contract_version if told.is_first else None for each, told in ordered
        ],
        "bill_to_customer_id": [each.bill_to_customer_id for each in terms],
        "legal_entity_id": [each.legal_entity_id for each in terms],
        "time_zone": [each.time_zone for each in terms],
        "newest_version": [each.contract_version for each in terms],
        "ended_on": [ending.on if ending else None for ending in endings],
        "ended_early": [bool(ending and ending.is_early) for ending in endings],
        "ended_detail": [ending.detail if ending else "" for ending in endings],
        "epoch": [epoch] * len(ordered),
    }


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
            "purpose": [card.purpose for card, _ in found],
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


async def load_agreements(
    tx: AsyncConnection, contract_ids: Collection[ContractId]
) -> tuple[int, dict[ContractId, Agreement]]:
    """Return the count of facts, and of each contract that has terms all versions of them."""
    rows = (await tx.execute(_AGREEMENTS, {"contract_ids": list(contract_ids)})).all()
    known = [row for row in rows if row.contract_id is not None]
    agreements = {
        contract_id: _agreement_from(list(group))
        for contract_id, group in groupby(known, key=lambda row: row.contract_id)
    }
    return rows[0].epoch, agreements


async def effective_on(
    tx: AsyncConnection, contract_id: ContractId, contract_version: int
) -> date | None:
    """Return the day from which a version of terms holds, None for the first one."""
    _, agreements = await load_agreements(tx, [contract_id])
    agreement = agreements.get(contract_id)
    if agreement is None or agreement.first_version == contract_version:
        return None
    by_version = {terms.contract_version: terms for terms in agreement.versions}
    terms = by_version.get(contract_version)
    return None if terms is None else terms.effective_on


async def load_facts(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> Facts:
    """Return all that work under these contracts is rated by: three queries, however many."""
    epoch, agreements = await load_agreements(tx, contract_ids)
    versions = [terms for each in agreements.values() for terms in each.versions]
    cards = await tx.execute(
        _CARDS,
        {
            "rate_card_ids": list({each.rate_card_id for each in versions if each.rate_card_id}),
            "legal_entity_ids": list({each.legal_entity_id for each in versions}),
            "customer_ids": list({each.customer_id for each in versions}),
        },
    )
    state = tables.customer_state
    customers = await tx.execute(select(state).where(state.c.customer_id.in_(payers_of(versions))))
    return Facts(
        epoch,
        agreements,
        [read_card(rate_card_pb2.RateCard.FromString(card)) for card in cards.scalars()],
        {row.customer_id: _customer_from(row) for row in customers},
    )


def _agreement_from(rows: Sequence[Row[Any]]) -> Agreement:
    first = rows[0]
    ending = None
    if first.ended_on is not None:
        ending = Ending(first.ended_on, first.ended_early, first.ended_detail)
    return Agreement(tuple(_read_kept(row.terms) for row in rows), first.first_version, ending)


# A version of terms never changes, and the same few stand behind many batches.
@lru_cache(maxsize=1 << 10)
def _read_kept(terms: bytes) -> ContractTerms:
    return read_terms(contract_pb2.Contract.FromString(terms))


def _customer_from(row: Row[Any]) -> CustomerState:
    return CustomerState(
        row.customer_id,
        row.version,
        row.is_on_credit_hold,
        row.credit_hold_reason,
        TaxStatus(row.tax_status),
    )
