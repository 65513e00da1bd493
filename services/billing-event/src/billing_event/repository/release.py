"""Release runs, and releases that are taken back."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.job import RunStatus
from billing_event.domain.position import BillingEventId, EventType
from billing_event.domain.release_run import (
    ReleaseRun,
    ReleaseRunId,
    ReleaseRunNotFound,
    ReleaseScope,
    Withdrawal,
    WithdrawalId,
    WithdrawalNotFound,
    WithdrawalStatus,
    WithdrawalUnderWay,
)
from billing_event.repository import job
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import audit

_RUN: Final = tables.release_run
_WITHDRAWAL: Final = tables.release_withdrawal

_ADD_ROWS: Final = text("""
    INSERT INTO withdrawn_row (release_withdrawal_id, billing_event_id, row_version, is_pending)
    SELECT :withdrawal_id, billing_event_id, version, true
    FROM unnest(CAST(:billing_event_ids AS uuid[]), CAST(:versions AS bigint[]))
         AS row (billing_event_id, version)
""")

_UNDER_WAY: Final = text("""
    SELECT billing_event_id FROM withdrawn_row
    WHERE is_pending AND billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
    ORDER BY billing_event_id LIMIT 1
""")

_FINISH: Final = text("""
    WITH closed AS (
        UPDATE withdrawn_row SET is_pending = false
        WHERE release_withdrawal_id = :withdrawal_id
    )
    UPDATE release_withdrawal SET status = :status, refusal = :refusal, finished_at = :at
    WHERE release_withdrawal_id = :withdrawal_id AND status = 'pending'
""")


class RunMovedOn(StaleVersion):
    """The run was stopped while a chunk of it was worked on; the chunk has no effect."""

    code = "release_run.moved_on"


async def add_run(tx: AsyncConnection, run: ReleaseRun) -> None:
    """Store a new run."""
    scope = run.scope
    most = scope.max_amount
    await tx.execute(
        insert(_RUN).values(
            release_run_id=run.release_run_id,
            version=run.version,
            contract_id=scope.contract_id,
            legal_entity_id=scope.legal_entity_id,
            legal_entity_ids=(
                None if scope.legal_entity_ids is None else list(scope.legal_entity_ids)
            ),
            through_date=scope.through,
            types=list(scope.types),
            max_amount=None if most is None else most.amount,
            max_currency=None if most is None else most.currency,
            status=run.status,
            rows_found=run.rows_found,
            rows_released=0,
            rows_held=0,
            rows_other_person=run.rows_other_person,
            released_amounts={},
            started_by=run.started_by,
            started_at=run.started_at,
        )
    )
    audit.touch(tx, run.release_run_id)


async def get_run(
    tx: AsyncConnection, release_run_id: ReleaseRunId, *, lock: bool = False
) -> ReleaseRun:
    """Return a run; with `lock` no chunk of it commits before this transaction.

    Raises:
        ReleaseRunNotFound: there is none.
    """
    query = select(_RUN).where(_RUN.c.release_run_id == release_run_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise ReleaseRunNotFound(
            f"release run {release_run_id} does not exist", field="release_run_id"
        )
    return run_from(row)


async def running(tx: AsyncConnection) -> Sequence[ReleaseRun]:
    """Return the runs that are worked on, oldest first."""
    query = select(_RUN).where(_RUN.c.status == RunStatus.RUNNING).order_by(_RUN.c.release_run_id)
    return [run_from(row) for row in await tx.execute(query)]


async def save_run(tx: AsyncConnection, run: ReleaseRun) -> None:
    """Write the new status of a run.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    await job.save(tx, _RUN, run.release_run_id, run)


async def count(
    tx: AsyncConnection,
    run: ReleaseRun,
    *,
    released: int,
    held: int,
    amounts: Sequence[Money],
    cursor: BillingEventId,
) -> None:
    """Add what a chunk did, as the last thing its transaction does.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    totals = dict(run.released_amounts or {})
    for amount in amounts:
        totals[amount.currency] = totals.get(amount.currency, Decimal(0)) + amount.amount
    written = await tx.execute(
        update(_RUN)
        .where(_RUN.c.release_run_id == run.release_run_id, _RUN.c.version == run.version)
        .values(
            rows_released=_RUN.c.rows_released + released,
            rows_held=_RUN.c.rows_held + held,
            released_amounts={currency: str(amount) for currency, amount in totals.items()},
            cursor=cursor,
        )
    )
    if written.rowcount != 1:
        raise RunMovedOn(f"release run {run.release_run_id} is no longer {run.status}")


def run_from(row: Row[Any]) -> ReleaseRun:
    """Return the run a row of its table holds."""
    most = None if row.max_amount is None else Money(row.max_amount, row.max_currency)
    return ReleaseRun(
        release_run_id=row.release_run_id,
        version=row.version,
        scope=ReleaseScope(
            contract_id=row.contract_id,
            legal_entity_id=row.legal_entity_id,
            legal_entity_ids=row.legal_entity_ids,
            through=row.through_date,
            types=tuple(map(EventType, row.types)),
            max_amount=most,
        ),
        status=RunStatus(row.status),
        rows_found=row.rows_found,
        rows_other_person=row.rows_other_person,
        started_by=row.started_by,
        started_at=row.started_at,
        rows_released=row.rows_released,
        rows_held=row.rows_held,
        released_amounts={
            currency: Decimal(amount) for currency, amount in row.released_amounts.items()
        },
        cursor=row.cursor,
        finished_at=row.finished_at,
    )


async def require_none_under_way(
    tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]
) -> None:
    """Check that the release of none of these rows is being taken back.

    Raises:
        WithdrawalUnderWay: one is, and invoicing has not answered.
    """
    pending = await tx.scalar(_UNDER_WAY, {"billing_event_ids": list(billing_event_ids)})
    if pending is not None:
        raise WithdrawalUnderWay(
            f"the release of billing event {pending} is being taken back",
            field="billing_event_ids",
            advice="wait for that withdrawal to end",
        )


async def add_withdrawal(tx: AsyncConnection, withdrawal: Withdrawal) -> None:
    """Store a withdrawal that is asked for.

    Raises:
        WithdrawalUnderWay: another one of the same rows has not been answered.
    """
    await tx.execute(
        insert(_WITHDRAWAL).values(
            release_withdrawal_id=withdrawal.withdrawal_id,
            status=withdrawal.status,
            reason=withdrawal.reason,
            places_hold=withdrawal.places_hold,
            refusal="",
            requested_by=withdrawal.requested_by,
            requested_at=withdrawal.requested_at,
        )
    )
    row_ids = [row_id for row_id, _ in withdrawal.rows]
    values = {
        "withdrawal_id": withdrawal.withdrawal_id,
        "billing_event_ids": row_ids,
        "versions": [version for _, version in withdrawal.rows],
    }
    try:
        await tx.execute(_ADD_ROWS, values)
    except IntegrityError as error:
        if "withdrawn_row_once" not in str(error.orig):
            raise
        raise WithdrawalUnderWay(
            "the release of one of these rows is being taken back already",
            field="billing_event_ids",
            advice="wait for that withdrawal, or leave the row out",
        ) from error
    audit.touch(tx, withdrawal.withdrawal_id, *row_ids)


async def get_withdrawal(
    tx: AsyncConnection, withdrawal_id: WithdrawalId, *, lock: bool = False
) -> Withdrawal:
    """Return a withdrawal with its rows.

    Raises:
        WithdrawalNotFound: there is none.
    """
    query = select(_WITHDRAWAL).where(_WITHDRAWAL.c.release_withdrawal_id == withdrawal_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise WithdrawalNotFound(
            f"release withdrawal {withdrawal_id} does not exist", field="release_withdrawal_id"
        )
    [withdrawal] = await withdrawals_from(tx, [row])
    return withdrawal


async def withdrawals_from(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Withdrawal]:
    """Return the withdrawals that rows of their table hold, each with the rows it names."""
    member = tables.withdrawn_row
    members = await tx.execute(
        select(member.c.release_withdrawal_id, member.c.billing_event_id, member.c.row_version)
        .where(member.c.release_withdrawal_id.in_([row.release_withdrawal_id for row in rows]))
        .order_by(member.c.release_withdrawal_id, member.c.billing_event_id)
    )
    named: dict[WithdrawalId, list[tuple[BillingEventId, int]]] = {}
    for each in members:
        row_id, version = each.billing_event_id, each.row_version
        named.setdefault(each.release_withdrawal_id, []).append((row_id, version))
    return [
        Withdrawal(
            withdrawal_id=row.release_withdrawal_id,
            status=WithdrawalStatus(row.status),
            rows=tuple(named[row.release_withdrawal_id]),
            reason=row.reason,
            places_hold=row.places_hold,
            requested_by=row.requested_by,
            requested_at=row.requested_at,
            refusal=row.refusal,
            finished_at=row.finished_at,
        )
        for row in rows
    ]


async def pending_withdrawals(tx: AsyncConnection) -> Sequence[WithdrawalId]:
    """Return the withdrawals that were not answered yet, oldest first."""
    query = (
        select(_WITHDRAWAL.c.release_withdrawal_id)
        .where(_WITHDRAWAL.c.status == WithdrawalStatus.PENDING)
        .order_by(_WITHDRAWAL.c.requested_at, _WITHDRAWAL.c.release_withdrawal_id)
    )
    return list((await tx.execute(query)).scalars())


async def finish_withdrawal(
    tx: AsyncConnection,
    withdrawal_id: WithdrawalId,
    status: WithdrawalStatus,
    *,
    refusal: str = "",
    at: datetime,
) -> None:
    """Write how a withdrawal ended."""
    values = {"withdrawal_id": withdrawal_id, "status": status, "refusal": refusal, "at": at}
    await tx.execute(_FINISH, values)
    audit.touch(tx, withdrawal_id)
