"""Provisioning runs as rows, many at a time, with the exceptions paused ones put before people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Row,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.run import (
    OPEN,
    UNDER_WAY,
    Run,
    RunEvent,
    RunKind,
    RunNotFound,
    RunState,
    wait_seconds,
)
from project_provisioning.domain.terms import Terms
from project_provisioning.repository.check import check_from, check_values
from project_provisioning.repository.rows import Write, Writing
from project_provisioning.wire import run as wire
from project_provisioning.wire.terms import read_terms
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.change import Change
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, exceptions, outbox
from throughline_runtime.exceptions import Halt
from throughline_runtime.identity import current_caller

EXCEPTION_KIND: Final = "provisioning_run"

Move = tuple[Run, Change[Run, RunEvent]]
"""A run as it was, and what was decided about it."""

# Waits are counted on the database's clock: the one all processes share.
_SAVE: Final = text("""
    UPDATE provisioning_run AS run SET
        version = change.version, state = change.state, pins = change.pins,
        checks = change.checks, reason = change.reason, owner = change.owner,
        attempts = change.attempts, project_id = change.project_id,
        project_ids = CAST(change.project_ids AS uuid[]),
        cancellation_reason = change.cancellation_reason, changed_at = change.changed_at,
        due_at = now() + make_interval(secs => change.rest_seconds)
    FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:states AS text[]),
        CAST(:pins AS jsonb[]), CAST(:checks AS jsonb[]), CAST(:reasons AS text[]),
        CAST(:owners AS text[]), CAST(:attempts AS integer[]), CAST(:project_ids AS uuid[]),
        CAST(:all_project_ids AS text[]), CAST(:cancellation_reasons AS text[]),
        CAST(:changed_ats AS timestamptz[]), CAST(:rest_seconds AS double precision[])
    ) AS change (run_id, version, state, pins, checks, reason, owner, attempts, project_id,
                 project_ids, cancellation_reason, changed_at, rest_seconds)
    WHERE run.run_id = change.run_id AND run.version = change.version - 1
""")

# The version that a run was received for stays in its column: of each there is one run.
_RENEW: Final = text("""
    UPDATE provisioning_run AS run SET contract = later.contract
    FROM (
        SELECT DISTINCT ON (contract_id) contract_id, contract FROM provisioning_run
        WHERE kind = 'amendment' AND contract_id = any(CAST(:contract_ids AS uuid[]))
        ORDER BY contract_id, contract_version DESC
    ) AS later
    WHERE run.contract_id = later.contract_id AND run.kind = 'delivery' AND run.state = 'paused'
      AND run.contract <> later.contract
    RETURNING run.run_id, run.contract
""")

_run = tables.provisioning_run

_ADD: Final = insert(_run).on_conflict_do_nothing().returning(_run.c.run_id)
_ADD_STEPS: Final = Writing(Write(tables.run_step))
_LOCK: Final = (
    select(_run)
    .where(_run.c.run_id == any_(bindparam("run_ids", type_=ARRAY(Uuid))))
    .order_by(_run.c.run_id)
    .with_for_update(skip_locked=True)
)


async def add_all(
    tx: AsyncConnection, received: Iterable[tuple[Run, contract_pb2.Contract]]
) -> None:
    """Write new runs and their first steps; terms that have a run already keep it."""
    runs = {run.run_id: (run, contract) for run, contract in received}
    rows = [
        {
            **_values(run),
            "run_id": run.run_id,
            "kind": run.kind,
            "contract_id": run.terms.contract_id,
            "contract_version": run.terms.contract_version,
            "change_order_id": run.change_order_id,
            "engagement_id": run.terms.engagement_id,
            "correlation_id": run.terms.correlation_id,
            "legal_entity_id": run.terms.legal_entity_id,
            "contract": contract.SerializeToString(),
            "received_at": run.received_at,
        }
        for run, contract in runs.values()
    ]
    added = (await tx.execute(_ADD, rows)).scalars().all()
    await _add_steps(tx, [(None, runs[run_id][0]) for run_id in added])


async def get(tx: AsyncConnection, run_id: UUID) -> Run:
    """Return a run, locked until the transaction ends.

    Raises:
        RunNotFound: there is none.
    """
    query = select(_run).where(_run.c.run_id == run_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise RunNotFound(f"no provisioning run {run_id}", field="run_id")
    return run_from(row)


async def lock(tx: AsyncConnection, seen: Sequence[Run]) -> list[Run]:
    """Return those of the runs nobody has moved or is moving, locked until the transaction ends."""
    versions = {run.run_id: run.version for run in seen}
    found = map(run_from, await tx.execute(_LOCK, {"run_ids": list(versions)}))
    return [run for run in found if run.version == versions[run.run_id]]


async def open_runs_of(tx: AsyncConnection, contract_ids: Iterable[UUID]) -> list[Run]:
    """Return the contracts' runs that may still do something, locked; deliveries first."""
    query = (
        select(_run)
        .where(_run.c.contract_id.in_(list(contract_ids)))
        .where(_run.c.state.in_(OPEN))
        .order_by(_run.c.contract_id, _run.c.contract_version)
        .with_for_update()
    )
    return [run_from(row) for row in await tx.execute(query)]


async def renew(tx: AsyncConnection, paused: Sequence[Run]) -> list[Run]:
    """Return locked paused runs, deliveries with the latest terms that have come in since.

    What was agreed wrongly is mended by a change order, and nothing has been delivered yet.
    """
    contract_ids = [run.terms.contract_id for run in paused if run.kind is RunKind.DELIVERY]
    rows = await tx.execute(_RENEW, {"contract_ids": contract_ids})
    later = {row.run_id: _terms_of(row.contract) for row in rows}
    return [replace(run, terms=later.get(run.run_id, run.terms)) for run in paused]


async def latest_terms(tx: AsyncConnection, contract_ids: Iterable[UUID]) -> Mapping[UUID, int]:
    """Return the latest version of each contract's terms that has a run."""
    query = (
        select(_run.c.contract_id, func.max(_run.c.contract_version).label("latest"))
        .where(_run.c.contract_id.in_(list(contract_ids)))
        .group_by(_run.c.contract_id)
    )
    return {row.contract_id: row.latest for row in await tx.execute(query)}


async def undelivered(tx: AsyncConnection, contract_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Return those of the contracts whose delivery was given up."""
    query = (
        select(_run.c.contract_id)
        .where(_run.c.contract_id.in_(list(contract_ids)))
        .where(_run.c.kind == RunKind.DELIVERY)
        .where(_run.c.state == RunState.CANCELLED)
    )
    return frozenset((await tx.execute(query)).scalars())


async def save(tx: AsyncConnection, before: Run, change: Change[Run, RunEvent]) -> None:
    """Write the new state of one run; see `save_all`."""
    await save_all(tx, [(before, change)])


async def save_all(
    tx: AsyncConnection, moves: Sequence[Move], *, recheck_seconds: float = 0
) -> None:
    """Write new states, their steps and events, and open or close the exceptions they stand for.

    A constant number of statements, however many runs. Those that pause are due again after
    `recheck_seconds`.

    Raises:
        StaleVersion: a stored row is not exactly one version behind.
    """
    moved = [(before, change) for before, change in moves if change.state.version > before.version]
    if not moved:
        return
    runs = [change.state for _, change in moved]
    rows = [_values(run) for run in runs]
    written = await tx.execute(
        _SAVE,
        {
            "run_ids": [run.run_id for run in runs],
            "versions": [run.version for run in runs],
            "states": [run.state for run in runs],
            "pins": [json.dumps(row["pins"]) for row in rows],
            "checks": [json.dumps(row["checks"]) for row in rows],
            "reasons": [row["reason"] for row in rows],
            "owners": [row["owner"] for row in rows],
            "attempts": [run.attempts for run in runs],
            "project_ids": [run.project_id for run in runs],
            "all_project_ids": [_array(run.project_ids) for run in runs],
            "cancellation_reasons": [run.cancellation_reason for run in runs],
            "changed_ats": [run.changed_at for run in runs],
            "rest_seconds": [_rest_seconds(run, recheck_seconds) for run in runs],
        },
    )
    if written.rowcount != len(runs):
        raise StaleVersion("a provisioning run was changed by somebody else")
    for run in runs:
        audit.touch(tx, run.run_id, engagement_id=run.terms.engagement_id)
    await _add_steps(tx, [(before, change.state) for before, change in moved])
    await _tell_people(tx, moved)
    await outbox.append(
        tx, [wire.write_event(event) for _, change in moved for event in change.events]
    )


async def known_persons(tx: AsyncConnection, person_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Return those of the people who are recorded."""
    person = tables.person
    query = select(person.c.person_id).where(person.c.person_id.in_(list(person_ids)))
    return frozenset((await tx.execute(query)).scalars())


async def rest(tx: AsyncConnection, run_ids: Iterable[UUID], *, seconds: float) -> None:
    """Let paused runs be checked again only after a while; nothing else about them changes."""
    await tx.execute(
        update(_run)
        .where(_run.c.run_id.in_(list(run_ids)))
        .where(_run.c.state == RunState.PAUSED)
        .values(due_at=func.now() + timedelta(seconds=seconds))
    )


async def due(tx: AsyncConnection, *, size: int, rechecks: bool = False) -> list[Run]:
    """Return runs whose next step is due, at most `size`, the longest waiting first.

    With `rechecks` paused runs whose turn has come are among them. An amendment waits until its
    contract was delivered or that was given up.
    """
    rows = await tx.execute(_due(rechecks=rechecks), {"size": size})
    return [run_from(row) for row in rows]


@cache
def _due(*, rechecks: bool) -> Select[Any]:
    """Return the statement of `due`: made once, because it is asked several times a second."""
    states = (*UNDER_WAY, RunState.PAUSED) if rechecks else UNDER_WAY
    return (
        select(_run)
        .where(_run.c.state.in_(states))
        .where(_run.c.due_at <= func.now())
        .where(or_(_run.c.kind == RunKind.DELIVERY, _is_delivered()))
        .order_by(_run.c.due_at)
        .limit(bindparam("size", type_=Integer))
    )


def _is_delivered() -> ColumnElement[bool]:
    delivery = _run.alias("delivery")
    return exists().where(
        and_(
            delivery.c.contract_id == _run.c.contract_id,
            delivery.c.kind == RunKind.DELIVERY,
            delivery.c.state.in_((RunState.ACTIVATED, RunState.CANCELLED)),
        )
    )


def _rest_seconds(run: Run, recheck_seconds: float) -> float:
    if run.state is RunState.PAUSED:
        return recheck_seconds
    return wait_seconds(run.attempts - 1) if run.attempts else 0.0


async def _add_steps(tx: AsyncConnection, steps: Sequence[tuple[Run | None, Run]]) -> None:
    by = current_caller().subject
    rows = [
        {
            "run_id": run.run_id,
            "version": run.version,
            "from_state": before.state if before else None,
            "to_state": run.state,
            "taken_at": run.changed_at,
            "taken_by": by,
            "reason": run.blocker.code if run.blocker else run.cancellation_reason,
            "checks": list(map(check_values, run.checks))
            if before and before.checks != run.checks
            else [],
        }
        for before, run in steps
        if before is None or before.state is not run.state or before.blocker != run.blocker
    ]
    if rows:
        await _ADD_STEPS.save(tx, rows)


async def _tell_people(tx: AsyncConnection, moved: Sequence[Move]) -> None:
    runs = [change.state for _, change in moved]
    past = [
        change.state.run_id
        for before, change in moved
        if before.state is RunState.PAUSED and change.state.state is not RunState.PAUSED
    ]
    halts = [
        Halt(
            EXCEPTION_KIND,
            run.run_id,
            blocker.code,
            blocker.owner,
            f"{blocker.advice}; then POST /v1/provisioning-runs/{run.run_id}:resume",
            legal_entity_id=run.terms.legal_entity_id,
            engagement_id=run.terms.engagement_id,
            detail={"contract": run.terms.contract_number},
        )
        for run in runs
        if (blocker := run.blocker) is not None
    ]
    if past:
        await exceptions.close(tx, EXCEPTION_KIND, past)
    if halts:
        await exceptions.open_all(tx, halts)


def _array(ids: Iterable[UUID]) -> str:
    """Return ids as PostgreSQL writes an array: a list of lists would become one flat list."""
    return "{" + ",".join(map(str, ids)) + "}"


def _values(run: Run) -> dict[str, Any]:
    blocker = run.blocker
    return {
        "version": run.version,
        "state": run.state,
        "pins": dict(run.pins),
        "checks": list(map(check_values, run.checks)),
        "reason": blocker.code if blocker else None,
        "owner": blocker.owner if blocker else None,
        "attempts": run.attempts,
        "project_id": run.project_id,
        "project_ids": list(run.project_ids),
        "cancellation_reason": run.cancellation_reason,
        "changed_at": run.changed_at,
    }


def run_from(row: Row[Any]) -> Run:
    """Return the run a row holds."""
    state = RunState(row.state)
    return Run(
        run_id=row.run_id,
        version=row.version,
        kind=RunKind(row.kind),
        state=state,
        terms=_terms_of(row.contract),
        change_order_id=row.change_order_id,
        pins=row.pins,
        checks=tuple(map(check_from, row.checks)),
        attempts=row.attempts,
        project_ids=tuple(row.project_ids),
        received_at=row.received_at,
        changed_at=row.changed_at,
        cancellation_reason=row.cancellation_reason,
        next_check_at=row.due_at if state is RunState.PAUSED else None,
    )


@lru_cache(maxsize=1024)
def _terms_of(contract: bytes) -> Terms:
    """Return the terms a run keeps: each of its steps loads the same ones again."""
    return read_terms(contract_pb2.Contract.FromString(contract))
