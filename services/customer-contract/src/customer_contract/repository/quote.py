"""Quotes: versions of offers with their lines."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Integer,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.customer import Customer
from customer_contract.domain.quote import (
    Approval,
    Quote,
    QuoteApproved,
    QuoteOrigin,
    QuoteStatus,
    RejectionCode,
)
from customer_contract.domain.values import CustomerId, LegalEntityId, QuoteId
from customer_contract.repository.columns import source_columns, source_from
from customer_contract.repository.customer import CustomerNotFound, customer_from
from customer_contract.repository.legal_entity import LegalEntityNotFound
from customer_contract.repository.quote_review import (
    awaiting,
    review_from,
    step_columns,
    write_review,
)
from customer_contract.repository.service_line import line_from, line_values
from customer_contract.repository.sql import insert_lines_sql, insert_sql, update_sql
from customer_contract.wire import quote as wire
from throughline_core.errors import NotFound, StaleVersion
from throughline_runtime import audit, outbox
from throughline_runtime.database import Contended
from throughline_runtime.statement import Statement

_WAITING: Final = frozenset({QuoteStatus.DRAFT, QuoteStatus.IN_REVIEW})

_ADD: Final = Statement(f"""
    WITH written AS (
        {insert_sql(tables.quote)} ON CONFLICT DO NOTHING RETURNING quote_id
    )
    {insert_lines_sql(tables.quote_line, keys=("quote_id", "quote_version"))}
    WHERE EXISTS (SELECT FROM written)
""")

_LATEST: Final = Statement(
    select(tables.quote).where(
        tables.quote.c.quote_id == bindparam("quote_id"), tables.quote.c.is_latest
    )
)
_VERSION: Final = Statement(
    select(tables.quote).where(
        tables.quote.c.quote_id == bindparam("quote_id"),
        tables.quote.c.quote_version == bindparam("quote_version"),
    )
)
_WANTED: Final = (
    func.unnest(
        bindparam("quote_ids", type_=ARRAY(Uuid)), bindparam("quote_versions", type_=ARRAY(Integer))
    )
    .table_valued("quote_id", "quote_version", name="wanted")
    .render_derived()
)
_LINES: Final = Statement(
    select(tables.quote_line)
    .join(
        _WANTED,
        and_(
            _WANTED.c.quote_id == tables.quote_line.c.quote_id,
            _WANTED.c.quote_version == tables.quote_line.c.quote_version,
        ),
    )
    .order_by(
        tables.quote_line.c.quote_id,
        tables.quote_line.c.quote_version,
        tables.quote_line.c.position,
    )
)
_PARTIES: Final = Statement(
    select(tables.customer, tables.legal_entity.c.time_zone.label("entity_time_zone"))
    .outerjoin(
        tables.legal_entity,
        tables.legal_entity.c.legal_entity_id == bindparam("entity"),
    )
    .where(tables.customer.c.customer_id == bindparam("customer"))
)
_MOVE: Final = update_sql(
    tables.quote,
    (
        "is_latest",
        "version",
        "status",
        "approved_by",
        "approved_at",
        "rejection_reason",
        "rejection_code",
        "review",
        "awaiting_role",
        "is_breaching",
    ),
    where="quote_id = :of_quote AND quote_version = :of_version AND version = :replaced",
)
_SAVE: Final = Statement(_MOVE)
_STEP_PREFIX: Final = "step_"
_SAVE_STEP: Final = Statement(f"""
    WITH moved AS ({_MOVE} RETURNING quote_id)
    {insert_sql(tables.quote_approval, prefix=_STEP_PREFIX)} WHERE EXISTS (SELECT FROM moved)
""")

_EXPIRE: Final = text("""
    UPDATE quote SET status = 'expired', awaiting_role = NULL, version = expired.version
    FROM unnest(CAST(:quote_ids AS uuid[]), CAST(:quote_versions AS integer[]),
                CAST(:versions AS bigint[])) AS expired (quote_id, quote_version, version)
    WHERE quote.quote_id = expired.quote_id AND quote.quote_version = expired.quote_version
      AND quote.version = expired.version - 1
""")


@dataclass(frozen=True, slots=True)
class Parties:
    """Who deals: the customer, and the time zone of the selling legal entity."""

    customer: Customer
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
    if quote_version is None:
        rows = await _LATEST.fetch(tx, {"quote_id": quote_id})
    else:
        rows = await _VERSION.fetch(tx, {"quote_id": quote_id, "quote_version": quote_version})
    quotes = await _with_lines(tx, rows)
    return quotes[0] if quotes else None


async def load(tx: AsyncConnection, query: Select[Any]) -> list[Quote]:
    """Return the quotes the query over `tables.quote` yields, in its order, with their lines."""
    return await _with_lines(tx, (await tx.execute(query)).all())


async def _with_lines(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Quote]:
    if not rows:
        return []
    lines = await _LINES.fetch(
        tx,
        {
            "quote_ids": [row.quote_id for row in rows],
            "quote_versions": [row.quote_version for row in rows],
        },
    )
    by_quote: defaultdict[tuple[QuoteId, int], list[Row[Any]]] = defaultdict(list)
    for line in lines:
        by_quote[line.quote_id, line.quote_version].append(line)
    return [_quote_from(row, by_quote[row.quote_id, row.quote_version]) for row in rows]


async def add(tx: AsyncConnection, quote: Quote, *, events: Sequence[QuoteApproved] = ()) -> None:
    """Write a new version of a quote as the latest, and queue its events.

    Raises:
        QuoteTooLarge: it does not fit into an event.
        Contended: another writer made this version first; `once` runs the command again.
    """
    if not events:
        wire.require_publishable(quote)
    written = await _ADD.run(
        tx,
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
            "valid_until": quote.valid_until,
            **source_columns(quote.origin.source),
            **_state_columns(quote),
            **line_values(quote.lines),
        },
    )
    if written != len(quote.lines):
        # Run again, the command sees what the other writer brought in, and decides on that.
        raise Contended(f"quote {quote.number} has got version {quote.quote_version} meanwhile")
    audit.touch(tx, quote.quote_id)
    await outbox.append(tx, map(wire.write_event, events))


async def parties(
    tx: AsyncConnection, customer_id: CustomerId, legal_entity_id: LegalEntityId
) -> Parties:
    """Return the two that deal.

    Raises:
        CustomerNotFound, LegalEntityNotFound: one does not exist.
    """
    rows = await _PARTIES.fetch(tx, {"customer": customer_id, "entity": legal_entity_id})
    if not rows:
        raise CustomerNotFound(f"there is no customer {customer_id}", field="terms.customer_id")
    [row] = rows
    if row.entity_time_zone is None:
        raise LegalEntityNotFound(
            f"there is no legal entity {legal_entity_id}", field="terms.legal_entity_id"
        )
    return Parties(customer_from(row), row.entity_time_zone)


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
    await _move(tx, _SAVE, quote, {"is_latest": is_latest}, events)


async def save_step(
    tx: AsyncConnection, quote: Quote, *, events: Iterable[QuoteApproved] = ()
) -> None:
    """Write the step of the approval taken last as well; see `save`."""
    step = {f"{_STEP_PREFIX}{name}": value for name, value in step_columns(quote).items()}
    await _move(tx, _SAVE_STEP, quote, {"is_latest": True, **step}, events)


async def _move(
    tx: AsyncConnection,
    statement: Statement,
    quote: Quote,
    values: Mapping[str, object],
    events: Iterable[QuoteApproved],
) -> None:
    moved = {
        "of_quote": quote.quote_id,
        "of_version": quote.quote_version,
        "replaced": quote.version - 1,
    }
    if await statement.run(tx, {**_state_columns(quote), **moved, **values}) != 1:
        raise StaleVersion(f"quote {quote.number} is not at {quote.version - 1}")
    audit.touch(tx, quote.quote_id)
    await outbox.append(tx, map(wire.write_event, events))


async def due_to_expire(
    tx: AsyncConnection, today: Mapping[str, date], *, limit: int
) -> list[Quote]:
    """Return offers whose last day is gone in their entity's zone, kept from other writers.

    `today` is the business date in each zone that a legal entity has.
    """
    quote, entity = tables.quote, tables.legal_entity
    is_over = or_(
        false(),
        *(
            (entity.c.time_zone == zone) & (quote.c.valid_until < day)
            for zone, day in today.items()
        ),
    )
    query = (
        select(quote)
        .join(entity, entity.c.legal_entity_id == quote.c.legal_entity_id)
        .where(quote.c.is_latest, quote.c.status.in_(["in_review", "approved"]), is_over)
        .order_by(quote.c.valid_until, quote.c.quote_id)
        .limit(limit)
        .with_for_update(of=quote, skip_locked=True)
    )
    return await load(tx, query)


async def save_expired(tx: AsyncConnection, quotes: Sequence[Quote]) -> None:
    """Write that these offers expired, all at once; they are locked by `due_to_expire`."""
    await tx.execute(
        _EXPIRE,
        {
            "quote_ids": [quote.quote_id for quote in quotes],
            "quote_versions": [quote.quote_version for quote in quotes],
            "versions": [quote.version for quote in quotes],
        },
    )
    audit.touch(tx, *(quote.quote_id for quote in quotes))


async def time_zones(tx: AsyncConnection) -> Sequence[str]:
    """Return the time zones of the legal entities."""
    return (await tx.execute(select(tables.legal_entity.c.time_zone).distinct())).scalars().all()


def _state_columns(quote: Quote) -> dict[str, object]:
    approval = quote.approval
    return {
        "version": quote.version,
        "status": quote.status,
        "approved_by": None if approval is None else approval.by,
        "approved_at": None if approval is None else approval.at,
        "rejection_reason": quote.rejection_reason,
        "rejection_code": quote.rejection_code,
        "review": json.dumps(write_review(quote.review)),
        "awaiting_role": awaiting(quote.review) if quote.status in _WAITING else None,
        "is_breaching": bool(quote.review.open_breaches),
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
        rejection_code=None if row.rejection_code is None else RejectionCode(row.rejection_code),
        valid_until=row.valid_until,
        review=review_from(row.review),
    )
