"""Entities, customers and contract terms: copies of what customer-contract publishes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.draft import (
    Buyer,
    InvoiceGrouping,
    LineDetail,
    ReratingPolicy,
    SoldLine,
    Terms,
)
from invoice_payment.domain.party import Address, Party
from invoice_payment.wire.incoming import CustomerState, Entity
from throughline_core.errors import NotFound

S = TypeVar("S")


class EntityNotFound(NotFound):
    """No such legal entity is known here."""

    code = "legal_entity.not_found"


_ARRIVALS: Final = 0x656E_7469  # Any number no other advisory lock of the service has.
_LOCK_ARRIVALS: Final = text("SELECT pg_advisory_xact_lock(:lock)")

_PUT_ENTITIES: Final = text("""
    INSERT INTO legal_entity (legal_entity_id, version, code, name, currency, time_zone, address,
                              tax_id, registration, iban, bic, email)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:codes AS text[]),
        CAST(:names AS text[]), CAST(:currencies AS text[]), CAST(:time_zones AS text[]),
        CAST(:addresses AS jsonb[]), CAST(:tax_ids AS text[]), CAST(:registrations AS text[]),
        CAST(:ibans AS text[]), CAST(:bics AS text[]), CAST(:emails AS text[]))
    ON CONFLICT (legal_entity_id) DO UPDATE SET
        version = EXCLUDED.version, code = EXCLUDED.code, name = EXCLUDED.name,
        currency = EXCLUDED.currency, time_zone = EXCLUDED.time_zone, address = EXCLUDED.address,
        tax_id = EXCLUDED.tax_id, registration = EXCLUDED.registration, iban = EXCLUDED.iban,
        bic = EXCLUDED.bic, email = EXCLUDED.email
    WHERE legal_entity.version < EXCLUDED.version
""")

_PUT_CUSTOMERS: Final = text("""
    INSERT INTO customer (customer_id, version, name, address, tax_id, is_registered,
                          payment_terms_days)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:names AS text[]),
        CAST(:addresses AS jsonb[]), CAST(:tax_ids AS text[]), CAST(:registered AS boolean[]),
        CAST(:days AS integer[]))
    ON CONFLICT (customer_id) DO UPDATE SET
        version = EXCLUDED.version, name = EXCLUDED.name, address = EXCLUDED.address,
        tax_id = EXCLUDED.tax_id, is_registered = EXCLUDED.is_registered,
        payment_terms_days = EXCLUDED.payment_terms_days
    WHERE customer.version < EXCLUDED.version
""")

_PUT_TERMS: Final = text("""
    INSERT INTO contract_terms (contract_id, version, number, legal_entity_id, currency,
                                payment_terms_days, purchase_order_number, invoice_grouping,
                                line_detail, engagement_id, correlation_id, lines,
                                bill_to_customer_id, rerating_policy)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:numbers AS text[]),
        CAST(:legal_entity_ids AS uuid[]), CAST(:currencies AS text[]), CAST(:days AS integer[]),
        CAST(:orders AS text[]), CAST(:groupings AS text[]), CAST(:details AS text[]),
        CAST(:engagement_ids AS uuid[]), CAST(:correlation_ids AS uuid[]),
        CAST(:lines AS jsonb[]), CAST(:bill_to_customer_ids AS uuid[]),
        CAST(:rerating_policies AS text[]))
    ON CONFLICT (contract_id) DO UPDATE SET
        version = EXCLUDED.version, number = EXCLUDED.number,
        legal_entity_id = EXCLUDED.legal_entity_id, currency = EXCLUDED.currency,
        payment_terms_days = EXCLUDED.payment_terms_days,
        purchase_order_number = EXCLUDED.purchase_order_number,
        invoice_grouping = EXCLUDED.invoice_grouping, line_detail = EXCLUDED.line_detail,
        engagement_id = EXCLUDED.engagement_id, correlation_id = EXCLUDED.correlation_id,
        lines = EXCLUDED.lines, bill_to_customer_id = EXCLUDED.bill_to_customer_id,
        rerating_policy = EXCLUDED.rerating_policy
    WHERE contract_terms.version < EXCLUDED.version
""")


async def lock_arrivals(tx: AsyncConnection) -> None:
    """Let one transaction at a time decide whether an entity is known, until it ends."""
    await tx.execute(_LOCK_ARRIVALS, {"lock": _ARRIVALS})


async def put_entities(tx: AsyncConnection, entities: Iterable[Entity]) -> None:
    """Store the entities, each only over an older version."""
    rows = _newest(entities, lambda entity: entity.party.party_id, lambda entity: entity.version)
    await tx.execute(
        _PUT_ENTITIES,
        {
            "ids": [row.party.party_id for row in rows],
            "versions": [row.version for row in rows],
            "codes": [row.code for row in rows],
            "names": [row.party.name for row in rows],
            "currencies": [row.currency for row in rows],
            "time_zones": [row.time_zone for row in rows],
            "addresses": [json.dumps(asdict(row.party.address)) for row in rows],
            "tax_ids": [row.party.tax_id for row in rows],
            "registrations": [row.party.registration for row in rows],
            "ibans": [row.party.iban for row in rows],
            "bics": [row.party.bic for row in rows],
            "emails": [row.party.email for row in rows],
        },
    )


async def put_customers(tx: AsyncConnection, customers: Iterable[CustomerState]) -> None:
    """Store the customers, each only over an older version."""
    rows = _newest(customers, lambda row: row.buyer.party.party_id, lambda row: row.version)
    await tx.execute(
        _PUT_CUSTOMERS,
        {
            "ids": [row.buyer.party.party_id for row in rows],
            "versions": [row.version for row in rows],
            "names": [row.buyer.party.name for row in rows],
            "addresses": [json.dumps(asdict(row.buyer.party.address)) for row in rows],
            "tax_ids": [row.buyer.party.tax_id for row in rows],
            "registered": [row.buyer.is_registered for row in rows],
            "days": [row.buyer.payment_terms_days for row in rows],
        },
    )


async def put_terms(tx: AsyncConnection, terms: Iterable[Terms]) -> None:
    """Store the terms of contracts, each only over an older version."""
    rows = _newest(terms, lambda row: row.contract_id, lambda row: row.version)
    await tx.execute(
        _PUT_TERMS,
        {
            "ids": [row.contract_id for row in rows],
            "versions": [row.version for row in rows],
            "numbers": [row.number for row in rows],
            "legal_entity_ids": [row.legal_entity_id for row in rows],
            "currencies": [row.currency for row in rows],
            "days": [row.payment_terms_days for row in rows],
            "orders": [row.purchase_order_number for row in rows],
            "groupings": [row.invoice_grouping for row in rows],
            "details": [row.line_detail for row in rows],
            "engagement_ids": [row.engagement_id for row in rows],
            "correlation_ids": [row.correlation_id for row in rows],
            "lines": [_lines_text(row) for row in rows],
            "bill_to_customer_ids": [row.bill_to_customer_id for row in rows],
            "rerating_policies": [row.rerating_policy for row in rows],
        },
    )


async def entities(tx: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Entity]:
    """Return those of the entities that are known here."""
    table = tables.legal_entity
    rows = await tx.execute(select(table).where(table.c.legal_entity_id.in_(sorted(set(ids)))))
    return {row.legal_entity_id: entity_from(row) for row in rows}


async def entity(tx: AsyncConnection, legal_entity_id: UUID) -> Entity:
    """Return an entity.

    Raises:
        EntityNotFound: it is not known here.
    """
    found = await entities(tx, [legal_entity_id])
    if legal_entity_id not in found:
        raise EntityNotFound(
            f"legal entity {legal_entity_id} is not known", field="legal_entity_id"
        )
    return found[legal_entity_id]


async def entities_in(tx: AsyncConnection, country: str) -> Sequence[UUID]:
    """Return the entities that sell from a country."""
    table = tables.legal_entity
    query = select(table.c.legal_entity_id).where(table.c.address["country"].astext == country)
    return list((await tx.execute(query)).scalars())


async def entity_of_code(tx: AsyncConnection, code: str) -> UUID | None:
    """Return the id of the entity with this short code, None when there is none."""
    table = tables.legal_entity
    query = select(table.c.legal_entity_id).where(table.c.code == code)
    found: UUID | None = await tx.scalar(query)
    return found


async def buyers(tx: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Buyer]:
    """Return those of the customers that are known here."""
    table = tables.customer
    rows = await tx.execute(select(table).where(table.c.customer_id.in_(sorted(set(ids)))))
    return {row.customer_id: _buyer_from(row) for row in rows}


async def terms_of(
    tx: AsyncConnection, contract_ids: Sequence[UUID], *, lock: bool
) -> dict[UUID, Terms]:
    """Return the terms of those contracts that are known here.

    With `lock` nobody else drafts for them until the transaction ends; the locks are taken in order
    of id, so that two runs wait for each other instead of deadlocking.
    """
    table = tables.contract_terms
    query = select(table).where(table.c.contract_id.in_(contract_ids)).order_by(table.c.contract_id)
    rows = await tx.execute(query.with_for_update(key_share=True) if lock else query)
    return {row.contract_id: _terms_from(row) for row in rows}


def entity_from(row: Row[Any]) -> Entity:
    """Return the entity a row of its table holds."""
    party = Party(
        party_id=row.legal_entity_id,
        name=row.name,
        address=address_from(row.address),
        tax_id=row.tax_id,
        registration=row.registration,
        iban=row.iban,
        bic=row.bic,
        email=row.email,
    )
    return Entity(party, row.version, row.code, row.currency, row.time_zone)


def address_from(stored: Mapping[str, Any]) -> Address:
    """Return an address as it is stored: the fields of `Address` by name."""
    return Address(**{**stored, "lines": tuple(stored["lines"])})


def _buyer_from(row: Row[Any]) -> Buyer:
    party = Party(row.customer_id, row.name, address_from(row.address), row.tax_id)
    return Buyer(party, row.is_registered, row.payment_terms_days)


def _terms_from(row: Row[Any]) -> Terms:
    return Terms(
        contract_id=row.contract_id,
        version=row.version,
        number=row.number,
        legal_entity_id=row.legal_entity_id,
        currency=row.currency,
        payment_terms_days=row.payment_terms_days,
        purchase_order_number=row.purchase_order_number,
        invoice_grouping=InvoiceGrouping(row.invoice_grouping),
        line_detail=LineDetail(row.line_detail),
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        lines={
            UUID(line_id): SoldLine(line["position"], line["description"])
            for line_id, line in row.lines.items()
        },
        bill_to_customer_id=row.bill_to_customer_id,
        rerating_policy=ReratingPolicy(row.rerating_policy),
    )


def _lines_text(terms: Terms) -> str:
    return json.dumps({str(line_id): asdict(line) for line_id, line in terms.lines.items()})


def _newest(
    rows: Iterable[S], id_of: Callable[[S], UUID], version_of: Callable[[S], int]
) -> list[S]:
    """Return the latest version of each, in order of id: one statement may touch a row once."""
    newest = {id_of(row): row for row in sorted(rows, key=version_of)}
    return [newest[key] for key in sorted(newest)]
