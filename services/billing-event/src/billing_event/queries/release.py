"""What a release would do, release runs and withdrawals, and what holds sum up to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, exists, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.hold import HoldReason
from billing_event.domain.job import RunStatus
from billing_event.domain.position import EventType
from billing_event.domain.release_run import (
    ReleaseRun,
    Withdrawal,
    WithdrawalStatus,
)
from billing_event.domain.source import ContractId
from billing_event.queries.scope import is_over
from billing_event.repository.release import run_from, withdrawals_from
from billing_event.wire.published import REASONS, TYPES
from throughline.billing_event.v1 import billing_event_service_pb2 as event_pb
from throughline.billing_event.v1 import release_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import (
    EnumMap,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
)
from throughline_runtime.page import Page, next_token

RUN_STATUSES: Final = EnumMap(pb.ReleaseRunStatus, RunStatus)
WITHDRAWAL_STATUSES: Final = EnumMap(pb.ReleaseWithdrawalStatus, WithdrawalStatus)

_RUN = tables.release_run
_WITHDRAWAL = tables.release_withdrawal
_MEMBER = tables.withdrawn_row
_EVENT = tables.billing_event

_HOLDS: Final = text("""
    SELECT hold.reason, hold.owner, billing_event.currency, count(*) AS holds,
           count(*) FILTER (WHERE hold.billing_event_id IS NULL) AS unrated,
           sum(billing_event.amount) AS amount, min(hold.opened_at) AS oldest
    FROM hold LEFT JOIN billing_event USING (billing_event_id)
    WHERE hold.cleared_at IS NULL
      AND (CAST(:contract_id AS uuid) IS NULL OR hold.contract_id = CAST(:contract_id AS uuid))
      AND (CAST(:owner AS text) IS NULL OR hold.owner = :owner)
      AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
           OR hold.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[])))
    GROUP BY hold.reason, hold.owner, billing_event.currency
    ORDER BY hold.reason, hold.owner, billing_event.currency
""")


@dataclass(frozen=True, slots=True)
class WithdrawalFilter:
    """Which withdrawals are wanted; None does not limit.

    One is found by the contract or the legal entity of any row it names, and seen by who may see
    all of them.
    """

    visible: Collection[UUID] | None = None
    legal_entity_id: UUID | None = None
    contract_id: ContractId | None = None
    status: WithdrawalStatus | None = None


def write_preview(found: Sequence[Row[Any]], page: Page) -> pb.PreviewReleaseResponse:
    """Return a page of what a release would do; `found` may hold one line more than it."""
    shown = found[: page.size]
    response = pb.PreviewReleaseResponse(
        lines=[
            pb.ReleasePreviewLine(
                contract_id=str(row.contract_id),
                type=TYPES.write(EventType(row.type)),
                rows=row.passing,
                amount=write_money(Money(row.passing_amount, row.currency)),
                rows_need_other_person=row.own,
                amount_needs_other_person=write_money(Money(row.own_amount, row.currency)),
                rows_held=row.held,
                amount_held=write_money(Money(row.held_amount, row.currency)),
            )
            for row in shown
        ]
    )
    if len(found) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(last.contract_id, last.type, last.currency)
    return response


async def runs(
    tx: AsyncConnection,
    page: Page,
    *,
    status: RunStatus | None,
    contract_id: ContractId | None,
    legal_entity_id: UUID | None,
    visible: Collection[UUID] | None,
) -> pb.ListReleaseRunsResponse:
    """Return a page of runs, latest first."""
    query = select(_RUN)
    if status is not None:
        query = query.where(_RUN.c.status == status)
    if contract_id is not None:
        query = query.where(_RUN.c.contract_id == contract_id)
    if legal_entity_id is not None:
        query = query.where(is_over(_RUN, legal_entity_id))
    if visible is not None:
        query = query.where(_RUN.c.legal_entity_ids.contained_by(list(visible)))
    if page.after is not None:
        query = query.where(_RUN.c.release_run_id < read_uuid("page_token", page.after[0]))
    ordered = query.order_by(_RUN.c.release_run_id.desc()).limit(page.size + 1)
    rows = (await tx.execute(ordered)).all()
    shown = rows[: page.size]
    response = pb.ListReleaseRunsResponse(release_runs=[write_run(run_from(row)) for row in shown])
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].release_run_id)
    return response


async def withdrawals(
    tx: AsyncConnection, wanted: WithdrawalFilter, page: Page
) -> pb.ListReleaseWithdrawalsResponse:
    """Return a page of withdrawals, latest first."""
    query = select(_WITHDRAWAL)
    if wanted.status is not None:
        query = query.where(_WITHDRAWAL.c.status == wanted.status)
    if wanted.contract_id is not None:
        query = query.where(_names(_EVENT.c.contract_id == wanted.contract_id))
    if wanted.legal_entity_id is not None:
        query = query.where(_names(_EVENT.c.legal_entity_id == wanted.legal_entity_id))
    if wanted.visible is not None:
        query = query.where(~_names(_EVENT.c.legal_entity_id.not_in(wanted.visible)))
    key = _WITHDRAWAL.c.release_withdrawal_id
    if page.after is not None:
        query = query.where(key < read_uuid("page_token", page.after[0]))
    rows = (await tx.execute(query.order_by(key.desc()).limit(page.size + 1))).all()
    shown = await withdrawals_from(tx, rows[: page.size])
    response = pb.ListReleaseWithdrawalsResponse(release_withdrawals=map(write_withdrawal, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].withdrawal_id)
    return response


async def summarize_holds(
    tx: AsyncConnection,
    *,
    contract_id: ContractId | None,
    owner: str | None,
    legal_entity_ids: Collection[UUID] | None,
    now: datetime,
) -> event_pb.SummarizeHoldsResponse:
    """Return open holds by reason, owner and currency."""
    values = {
        "contract_id": contract_id,
        "owner": owner,
        "legal_entity_ids": None if legal_entity_ids is None else list(legal_entity_ids),
    }
    return event_pb.SummarizeHoldsResponse(
        summaries=[
            event_pb.HoldSummary(
                reason=REASONS.write(HoldReason(row.reason)),
                owner=row.owner,
                holds=row.holds,
                unrated=row.unrated,
                amount=(
                    None if row.currency is None else write_money(Money(row.amount, row.currency))
                ),
                oldest_age_days=(now - row.oldest).days,
            )
            for row in await tx.execute(_HOLDS, values)
        ]
    )


def _names(of_row: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a withdrawal names a row that this holds of."""
    return exists().where(
        _MEMBER.c.release_withdrawal_id == _WITHDRAWAL.c.release_withdrawal_id,
        _EVENT.c.billing_event_id == _MEMBER.c.billing_event_id,
        of_row,
    )


def write_run(run: ReleaseRun) -> pb.ReleaseRun:
    """Return a run as it is replied."""
    scope = run.scope
    return pb.ReleaseRun(
        release_run_id=str(run.release_run_id),
        version=run.version,
        scope=pb.ReleaseScope(
            contract_id=write_id(scope.contract_id) or None,
            legal_entity_id=write_id(scope.legal_entity_id) or None,
            through_date=write_date(scope.through) or None,
            types=[TYPES.write(each) for each in scope.types],
            max_amount=None if scope.max_amount is None else write_money(scope.max_amount),
        ),
        status=RUN_STATUSES.write(run.status),
        rows_found=run.rows_found,
        rows_released=run.rows_released,
        rows_held=run.rows_held,
        rows_need_other_person=run.rows_other_person,
        released_amounts=[
            write_money(Money(amount, currency))
            for currency, amount in sorted((run.released_amounts or {}).items())
        ],
        started_by=run.started_by,
        started_at=write_instant(run.started_at),
        finished_at=write_instant(run.finished_at),
    )


def write_withdrawal(withdrawal: Withdrawal) -> pb.ReleaseWithdrawal:
    """Return a withdrawal as it is replied."""
    return pb.ReleaseWithdrawal(
        release_withdrawal_id=str(withdrawal.withdrawal_id),
        status=WITHDRAWAL_STATUSES.write(withdrawal.status),
        billing_event_ids=[str(row_id) for row_id, _ in withdrawal.rows],
        reason=withdrawal.reason,
        hold=withdrawal.places_hold,
        refusal=withdrawal.refusal,
        requested_by=withdrawal.requested_by,
        requested_at=write_instant(withdrawal.requested_at),
        finished_at=write_instant(withdrawal.finished_at),
    )
