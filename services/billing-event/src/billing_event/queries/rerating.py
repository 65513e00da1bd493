"""Re-rating runs, what they found of each thing, and its sums."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, any_, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.position import EventType
from billing_event.domain.rerating import Action, Place
from billing_event.domain.rerating_part import Part, parts_from
from billing_event.domain.rerating_run import (
    Cause,
    Drafted,
    Outcome,
    ReratingRun,
    ReratingRunId,
    RunStatus,
)
from billing_event.domain.source import ContractId, ContractLineId, CustomerId
from billing_event.queries.keys import read_moment
from billing_event.repository.rerating import run_from
from billing_event.wire.published import TYPES, write_quantity
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline.common.v1 import money_pb2
from throughline_core.money import Money
from throughline_core.period import add_months
from throughline_core.rounding import round_half_away
from throughline_core.sheet import harmless
from throughline_runtime.fields import (
    EnumMap,
    read_uuid,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
)
from throughline_runtime.page import Page, next_token

STATUSES: Final = EnumMap(pb.ReratingRunStatus, RunStatus)
CAUSES: Final = EnumMap(pb.ReratingCause, Cause)
DRAFTED: Final = EnumMap(pb.DraftedItems, Drafted)
ACTIONS: Final = EnumMap(pb.ReratingAction, Action)
PLACES: Final = EnumMap(pb.ReratingPlace, Place)
OUTCOMES: Final = EnumMap(pb.ReratingOutcome, Outcome)

_RUN: Final = tables.rerating_run
_FOUND: Final = tables.rerating_item
_SUM: Final = tables.rerating_sum
_THING: Final = tables.source_item
_OVER: Final = (RunStatus.REJECTED, RunStatus.CANCELLED)
_OPEN: Final = (Outcome.PENDING, Outcome.WAITING)
_AMOUNT_PLACES: Final = 6

_COLUMNS: Final = (
    "source_item_id",
    "type",
    "contract_id",
    "contract_line_id",
    "service_from",
    "person_name",
    "role",
    "description",
    "place",
    "invoices",
    "action",
    "reason",
    "outcome",
    "currency",
    "unit",
    "payer_customer_id",
    "unit_rate",
    "old_quantity",
    "new_quantity",
    "difference",
)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    status: RunStatus | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which things of a run are wanted; None does not limit. `month` is its first day."""

    different_only: bool = False
    action: Action | None = None
    place: Place | None = None
    outcome: Outcome | None = None
    contract_line_id: ContractLineId | None = None
    payer_id: CustomerId | None = None
    month: date | None = None


async def runs(tx: AsyncConnection, wanted: RunFilter, page: Page) -> pb.ListReratingRunsResponse:
    """Return a page of runs, latest first."""
    query = select(_RUN)
    if wanted.legal_entity_ids is not None:
        query = query.where(_RUN.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.contract_id is not None:
        query = query.where(literal(wanted.contract_id) == any_(_RUN.c.contract_ids))
    if wanted.status is not None:
        query = query.where(_RUN.c.status == wanted.status)
    if wanted.cause is not None:
        query = query.where(_RUN.c.cause == wanted.cause)
    keys = _RUN.c.created_at, _RUN.c.rerating_run_id
    if page.after is not None:
        created_at, run_id = page.after
        after = read_moment(created_at), read_uuid("page_token", run_id)
        query = query.where(tuple_(*keys) < after)
    ordered = query.order_by(*(key.desc() for key in keys))
    rows = (await tx.execute(ordered.limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListReratingRunsResponse(runs=[write_run(run_from(row)) for row in shown])
    if len(rows) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(last.created_at.isoformat(), last.rerating_run_id)
    return response


async def items(
    tx: AsyncConnection, run: ReratingRun, wanted: ItemFilter, page: Page
) -> pb.ListReratingItemsResponse:
    """Return a page of what a run found, by id of the thing."""
    rows = await _page_of(tx, run, wanted, page)
    shown = rows[: page.size]
    response = pb.ListReratingItemsResponse(items=[_write_item(row) for row in shown])
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].source_item_id)
    return response


async def export(
    tx: AsyncConnection, run: ReratingRun, wanted: ItemFilter, page: Page
) -> pb.ExportReratingItemsResponse:
    """Return a page of what a run found as CSV, a line for each payer and rate."""
    rows = await _page_of(tx, run, wanted, page)
    shown = rows[: page.size]
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    if page.after is None:
        writer.writerow(_COLUMNS)
    for row in shown:
        writer.writerows(_lines_of(row))
    response = pb.ExportReratingItemsResponse(csv=sheet.getvalue())
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].source_item_id)
    return response


async def summary(tx: AsyncConnection, run_id: ReratingRunId) -> pb.GetReratingSummaryResponse:
    """Return the sums of what a run found: all that is, or will be, posted."""
    posted = _SUM.c.action != Action.CANNOT
    month = func.to_char(_SUM.c.month, "YYYY-MM")
    return pb.GetReratingSummaryResponse(
        by_contract_line=await _sums(tx, run_id, _SUM.c.contract_line_id, posted),
        by_month=await _sums(tx, run_id, month, posted),
        by_payer=await _sums(tx, run_id, _SUM.c.payer_id, posted),
        by_action=await _sums(tx, run_id, _SUM.c.action, literal(True)),
        totals=await _sums(tx, run_id, _SUM.c.currency, posted),
    )


def write_run(run: ReratingRun) -> pb.ReratingRun:
    """Return a run as it is replied."""
    scope, done = run.scope, run.progress
    return pb.ReratingRun(
        rerating_run_id=str(run.rerating_run_id),
        version=run.version,
        status=STATUSES.write(run.status),
        cause=CAUSES.write(run.cause),
        reason=run.reason,
        scope=pb.ReratingScope(
            legal_entity_id=str(scope.legal_entity_id),
            contract_ids=map(str, scope.contract_ids),
            contract_line_ids=map(str, scope.contract_line_ids),
            person_ids=map(str, scope.person_ids),
            customer_id=write_id(scope.customer_id) or None,
            rate_card_id=write_id(scope.rate_card_id) or None,
            service_from=write_date(scope.service_from) or None,
            service_through=write_date(scope.service_through) or None,
        ),
        drafted_items=DRAFTED.write(run.drafted),
        move_payers=run.moves_payers,
        progress=pb.ReratingProgress(
            items_previewed=done.items_previewed,
            items_different=done.items_different,
            items_cannot=done.items_cannot,
            items_applied=done.items_applied,
            items_waiting=done.items_waiting,
            items_skipped=done.items_skipped,
            items_outdated=done.items_outdated,
        ),
        proposed_by=run.proposed_by,
        decided_by=run.decided_by,
        decision_reason=run.decision_reason,
        created_at=write_instant(run.created_at),
        previewed_at=write_instant(run.previewed_at),
        finished_at=write_instant(run.finished_at),
        status_text=run.status_text,
    )


async def _page_of(
    tx: AsyncConnection, run: ReratingRun, wanted: ItemFilter, page: Page
) -> Sequence[Row[Any]]:
    """Return one row more than the page holds, if there are more."""
    query = _filtered(_select(run), run, wanted)
    if page.after is not None:
        after = read_uuid("page_token", page.after[0])
        query = query.where(_FOUND.c.source_item_id > after)
    ordered = query.order_by(_FOUND.c.source_item_id)
    rows: Sequence[Row[Any]] = (await tx.execute(ordered.limit(page.size + 1))).all()
    return rows


def _select(run: ReratingRun) -> Select[Any]:
    return (
        select(
            _FOUND,
            _outcome(run).label("shown_outcome"),
            _THING.c.type,
            _THING.c.service_to,
            _THING.c.person_id,
            _THING.c.person_name,
            _THING.c.role,
            _THING.c.description,
        )
        .join(_THING, _THING.c.source_item_id == _FOUND.c.source_item_id)
        .where(_FOUND.c.rerating_run_id == run.rerating_run_id)
    )


def _outcome(run: ReratingRun) -> ColumnElement[str]:
    """Return the outcome of a thing; what a run that is over has not posted, it left."""
    if run.status not in _OVER:
        return _FOUND.c.outcome
    return func.replace(
        func.replace(_FOUND.c.outcome, Outcome.PENDING, Outcome.SKIPPED),
        Outcome.WAITING,
        Outcome.SKIPPED,
    )


def _filtered(query: Select[Any], run: ReratingRun, wanted: ItemFilter) -> Select[Any]:
    equal = {
        _FOUND.c.action: wanted.action,
        _FOUND.c.place: wanted.place,
        _FOUND.c.contract_line_id: wanted.contract_line_id,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.outcome is not None:
        query = query.where(_outcome(run) == wanted.outcome)
    if wanted.different_only:
        query = query.where(_FOUND.c.is_different)
    if wanted.payer_id is not None:
        query = query.where(literal(wanted.payer_id) == any_(_FOUND.c.payer_ids))
    if wanted.month is not None:
        following = add_months(wanted.month, 1, anchor_day=1)
        query = query.where(_FOUND.c.service_from >= wanted.month)
        query = query.where(_FOUND.c.service_from < following)
    return query


async def _sums(
    tx: AsyncConnection,
    run_id: ReratingRunId,
    key: ColumnElement[Any],
    condition: ColumnElement[bool],
) -> list[pb.ReratingSum]:
    query = (
        select(
            key.label("key"),
            _SUM.c.currency,
            func.sum(_SUM.c["items"]).label("things"),
            func.sum(_SUM.c.old_amount).label("old_amount"),
            func.sum(_SUM.c.new_amount).label("new_amount"),
        )
        .where(_SUM.c.rerating_run_id == run_id)
        .where(condition)
        .group_by(key, _SUM.c.currency)
        .order_by(key, _SUM.c.currency)
    )
    return [
        pb.ReratingSum(
            key=str(row.key),
            items=int(row.things),
            old_amount=_money(row.old_amount, row.currency),
            new_amount=_money(row.new_amount, row.currency),
            difference=_money(row.new_amount - row.old_amount, row.currency),
        )
        for row in await tx.execute(query)
    ]


def _write_item(row: Row[Any]) -> pb.ReratingItem:
    parts = parts_from(row.parts) if row.is_different else ()
    return pb.ReratingItem(
        source_item_id=str(row.source_item_id),
        type=TYPES.write(EventType(row.type)),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        service_from=write_date(row.service_from),
        service_to=write_date(row.service_to),
        person_id=write_id(row.person_id) or None,
        person_name=row.person_name,
        role=row.role,
        description=row.description,
        place=PLACES.write(Place(row.place)),
        invoices=row.invoices,
        action=ACTIONS.write(Action(row.action)),
        reason=row.reason,
        unit=row.unit,
        old_quantity=write_quantity(row.old_quantity, row.unit),
        new_quantity=write_quantity(row.new_quantity, row.unit),
        old_amount=_money(row.old_amount, row.currency),
        new_amount=_money(row.new_amount, row.currency),
        difference=_money(row.new_amount - row.old_amount, row.currency),
        parts=[_write_part(part, row.currency) for part in parts],
        outcome=OUTCOMES.write(Outcome(row.shown_outcome)),
    )


def _write_part(part: Part, currency: str) -> pb.ReratingPart:
    return pb.ReratingPart(
        payer_customer_id=str(part.key.payer),
        unit_rate=write_money(Money(part.key.rate, currency)),
        old_quantity=write_quantity(part.old, part.key.unit),
        new_quantity=write_quantity(part.new, part.key.unit),
        difference=_money(part.difference, currency),
    )


def _lines_of(row: Row[Any]) -> Iterable[list[str]]:
    item = _write_item(row)
    start = [
        item.source_item_id,
        row.type,
        item.contract_id,
        item.contract_line_id,
        item.service_from,
        harmless(row.person_name),
        harmless(row.role),
        harmless(row.description),
        row.place,
        " ".join(row.invoices),
        row.action,
        harmless(row.reason),
        row.shown_outcome,
        row.currency,
        row.unit,
    ]
    for part in parts_from(row.parts):
        yield [
            *start,
            str(part.key.payer),
            write_decimal(part.key.rate),
            write_quantity(part.old, part.key.unit),
            write_quantity(part.new, part.key.unit),
            write_decimal(part.difference),
        ]


def _money(amount: Decimal, currency: str) -> money_pb2.Money:
    return write_money(Money(round_half_away(amount, _AMOUNT_PLACES), currency))
