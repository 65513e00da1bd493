"""Quotes: versions of offers with their lines."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.quote import (
    Approval,
    Quote,
    QuoteApproved,
    QuoteOrigin,
    QuoteStatus,
)
from customer_contract.domain.values import CustomerId, LegalEntityId, QuoteId
from customer_contract.repository.columns import source_columns, source_from
from customer_contract.repository.customer import CustomerNotFound
from customer_contract.repository.legal_entity import LegalEntityNotFound
from customer_contract.repository.service_line import (
    insert_lines_sql,
    insert_sql,
    line_from,
    line_values,
)
from customer_contract.wire import quote as wire
from throughline_core.errors import NotFound, StaleVersion
from throughline_runtime import audit, outbox

_ADD: Final = text(f"""
    WITH written AS (
        {insert_sql(tables.quote)} ON CONFLICT DO NOTHING RETURNING quote_id
    )
    {insert_lines_sql(tables.quote_line, keys=("quote_id", "quote_version"))}
    WHERE EXISTS (SELECT FROM written)
""")

_PARTIES: Final = text("""
    SELECT
        (SELECT payment_terms_days FROM customer WHERE customer_id = :customer_id)
            AS payment_terms_days,
        (SELECT time_zone FROM legal_entity WHERE legal_entity_id = :legal_entity_id)
            AS time_zone
""")


@dataclass(frozen=True, slots=True)
class Parties:
    """What an offer takes over from its customer and its selling legal entity."""

    payment_terms_days: int
    time_zone: str


class QuoteNotFound(NotFound):
    """There is no quote of this id, or not in this version."""

    code = "quote.not_found"


async def get(tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int | None = None) -> Quote:
    """Return a version of the quote, the latest unless told.

    Raises:
        QuoteNotFound: there is none.
    """
    quote = await find(tx, quote_id, quote_version=quote_version)
    if quote is None:
        which = "" if quote_version is None else f" in version {quote_version}"
        raise QuoteNotFound(f"there is no quote {quote_id}{which}", field="quote_id")
    return quote


async def find(
    tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int | None = None
) -> Quote | None:
    """Return a version of the quote, the latest unless told, None where there is none."""
    table = tables.quote
    chosen = table.c.is_latest if quote_version is None else table.c.quote_version == quote_version
    quotes = await load(tx, select(table).where(table.c.quote_id == quote_id, chosen))
    return quotes[0] if quotes else None


async def load(tx: AsyncConnection, query: Select[Any]) -> list[Quote]:
    """Return the quotes the query over `tables.quote` yields, in its order, with their lines."""
    rows = (await tx.execute(query)).all()
    if not rows:
        return []
    table = tables.quote_line
    keys = [(row.quote_id, row.quote_version) for row in rows]
    lines = await tx.execute(
        select(table)
        .where(tuple_(table.c.quote_id, table.c.quote_version).in_(keys))
        .order_by(table.c.quote_id, table.c.quote_version, table.c.position)
    )
    by_quote: defaultdict[tuple[QuoteId, int], list[Row[Any]]] = defaultdict(list)
    for line in lines:
        by_quote[line.quote_id, line.quote_version].append(line)
    return [_quote_from(row, by_quote[row.quote_id, row.quote_version]) for row in rows]


async def add(tx: AsyncConnection, quote: Quote, *, events: Sequence[QuoteApproved] = ()) -> None:
    """Write a new version of a quote as the latest, and queue its events.

    Raises:
        QuoteTooLarge: it does not fit into an event.
        StaleVersion: another writer made this version first.
    """
    if not events:
        wire.require_publishable(quote)
    written = await tx.execute(
        _ADD,
        {
            "quote_id": quote.quote_id,
            "quote_version": quote.quote_version,
            "is_latest": True,
            "number": quote.number,
            "customer_id": quote.customer_id,
            "legal_entity_id": quote.legal_entity_id,
            "currency": quote.currency,
            "start_on": quote.start_on,
            "end_on": quote.end_on,
            "payment_terms_days": quote.payment_terms_days,
            "purchase_order_number": quote.purchase_order_number,
            "correlation_id": quote.correlation_id,
            "proposed_by": quote.origin.proposed_by,
            "content_sha256": quote.origin.content_sha256,
            **source_columns(quote.origin.source),
            **_state_columns(quote),
            **line_values(quote.lines),
        },
    )
    if written.rowcount != len(quote.lines):
        raise StaleVersion(f"quote {quote.number} has got version {quote.quote_version} meanwhile")
    audit.touch(tx, quote.quote_id)
    await outbox.append(tx, map(wire.write_event, events))


async def parties(
    tx: AsyncConnection, customer_id: CustomerId, legal_entity_id: LegalEntityId
) -> Parties:
    """Return what an offer takes over from the two that deal.

    Raises:
        CustomerNotFound, LegalEntityNotFound: one does not exist.
    """
    keys = {"customer_id": customer_id, "legal_entity_id": legal_entity_id}
    row = (await tx.execute(_PARTIES, keys)).one()
    if row.payment_terms_days is None:
        raise CustomerNotFound(f"there is no customer {customer_id}", field="terms.customer_id")
    if row.time_zone is None:
        raise LegalEntityNotFound(
            f"there is no legal entity {legal_entity_id}", field="terms.legal_entity_id"
        )
    return Parties(row.payment_terms_days, row.time_zone)


async def save(
    tx: AsyncConnection,
    quote: Quote,
    *,
    events: Iterable[QuoteApproved] = (),
    is_latest: bool = True,
) -> None:
    """Write the state a version has moved to and queue its events, or neither.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    table = tables.quote
    written = await tx.execute(
        update(table)
        .where(table.c.quote_id == quote.quote_id, table.c.quote_version == quote.quote_version)
        .where(table.c.version == quote.version - 1)
        .values(is_latest=is_latest, **_state_columns(quote))
    )
    if written.rowcount != 1:
        raise StaleVersion(f"quote {quote.number} is not at {quote.version - 1}")
    audit.touch(tx, quote.quote_id)
    await outbox.append(tx, map(wire.write_event, events))


def _state_columns(quote: Quote) -> dict[str, object]:
    approval = quote.approval
    return {
        "version": quote.version,
        "status": quote.status,
        "approved_by": None if approval is None else approval.by,
        "approved_at": None if approval is None else approval.at,
        "rejection_reason": quote.rejection_reason,
    }


def _quote_from(row: Row[Any], lines: Iterable[Row[Any]]) -> Quote:
    return Quote(
        quote_id=QuoteId(row.quote_id),
        quote_version=row.quote_version,
        version=row.version,
        number=row.number,
        status=QuoteStatus(row.status),
        customer_id=CustomerId(row.customer_id),
        legal_entity_id=LegalEntityId(row.legal_entity_id),
        currency=row.currency,
        start_on=row.start_on,
        end_on=row.end_on,
        payment_terms_days=row.payment_terms_days,
        purchase_order_number=row.purchase_order_number,
        lines=tuple(line_from(line, row.currency) for line in lines),
        correlation_id=row.correlation_id,
        origin=QuoteOrigin(row.proposed_by, source_from(row), row.content_sha256),
        approval=(None if row.approved_by is None else Approval(row.approved_by, row.approved_at)),
        rejection_reason=row.rejection_reason,
    )
