"""Facts of legal entities that are not known yet."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.booking import Booking
from invoice_payment.domain.journal import AccountRole, Fact, Posting
from throughline_core.money import Money


async def keep(tx: AsyncConnection, bookings: Sequence[Booking]) -> None:
    """Store facts until their entities arrive; one told again is stored once."""
    if not bookings:
        return
    rows = [
        {
            "legal_entity_id": booking.legal_entity_id,
            "fact": booking.fact,
            "fact_id": booking.fact_id,
            "currency": booking.currency,
            "at": booking.at,
            "postings": [_stored(posting) for posting in booking.postings],
            "engagement_id": booking.engagement_id,
            "correlation_id": booking.correlation_id,
        }
        for booking in bookings
    ]
    await tx.execute(insert(tables.waiting_entry).values(rows).on_conflict_do_nothing())


async def take(tx: AsyncConnection, legal_entity_ids: Iterable[UUID]) -> list[Booking]:
    """Return the facts that wait for these entities, and wait no longer."""
    table = tables.waiting_entry
    rows = await tx.execute(
        delete(table).where(table.c.legal_entity_id.in_(list(legal_entity_ids))).returning(table)
    )
    found = [
        Booking(
            legal_entity_id=row.legal_entity_id,
            fact=Fact(row.fact),
            fact_id=row.fact_id,
            currency=row.currency,
            at=row.at,
            postings=tuple(_posting_from(posting, row.currency) for posting in row.postings),
            engagement_id=row.engagement_id,
            correlation_id=row.correlation_id,
        )
        for row in rows
    ]
    return sorted(found, key=lambda booking: (booking.at, booking.fact_id))


def _stored(posting: Posting) -> dict[str, Any]:
    """Return a posting as it is stored; amounts as strings, to stay exact."""
    return {
        "role": posting.role.value,
        "debit": str(posting.debit.amount),
        "credit": str(posting.credit.amount),
        "contract_id": None if posting.contract_id is None else str(posting.contract_id),
        "contract_line_id": None
        if posting.contract_line_id is None
        else str(posting.contract_line_id),
    }


def _posting_from(stored: Mapping[str, Any], currency: str) -> Posting:
    return Posting(
        role=AccountRole(stored["role"]),
        debit=Money(Decimal(stored["debit"]), currency),
        credit=Money(Decimal(stored["credit"]), currency),
        contract_id=UUID(stored["contract_id"]) if stored["contract_id"] else None,
        contract_line_id=UUID(stored["contract_line_id"]) if stored["contract_line_id"] else None,
    )
