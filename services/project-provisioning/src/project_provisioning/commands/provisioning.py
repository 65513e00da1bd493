"""The steps of a provisioning run, and what people may do about one."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import project as projects
from project_provisioning.domain import run as runs
from project_provisioning.domain.run import Check, Run
from project_provisioning.repository import project as project_repository
from project_provisioning.repository import run as repository
from project_provisioning.repository import template as template_repository
from project_provisioning.wire.run import read_terms
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.errors import StaleVersion
from throughline_runtime.identity import require_entity


async def receive_contracts(
    tx: AsyncConnection, contracts: Sequence[contract_pb2.Contract]
) -> None:
    """Start a run for each contract that has none."""
    at = (await tx.execute(select(func.now()))).scalar_one()
    received = [(runs.receive(read_terms(contract), at=at), contract) for contract in contracts]
    await repository.add_all(tx, received)


async def begin_validation(tx: AsyncConnection, run_id: UUID, *, at: datetime) -> Run:
    """Pin a received run to the templates' latest versions, and have it checked.

    Raises:
        RunNotFound, IllegalTransition, StaleVersion.
    """
    run = await repository.get(tx, run_id)
    versions = await template_repository.latest_versions(tx, run.terms.template_codes)
    change = runs.begin_validation(run, versions, at=at)
    await repository.save(tx, change)
    return change.state


async def judge_run(
    tx: AsyncConnection, asked: Run, peer_checks: Sequence[Check], *, at: datetime
) -> Run:
    """Let a run go on or pause it, by what customer-contract said about it as it was when `asked`.

    Raises:
        StaleVersion: the run has changed since; the answer may be out of date.
    """
    run = await repository.get(tx, asked.run_id)
    if run.version != asked.version:
        raise StaleVersion(f"provisioning run {run.run_id} has changed meanwhile")
    templates = await template_repository.get_pinned(tx, run.pins)
    change = runs.judge(run, peer_checks, templates, at=at)
    await repository.save(tx, change)
    return change.state


async def provision(tx: AsyncConnection, run_id: UUID, *, at: datetime) -> Run:
    """Make the project of a run that passed its checks: all of it, and the run's end, at once.

    Raises:
        RunNotFound, IllegalTransition, StaleVersion.
    """
    run = await repository.get(tx, run_id)
    change = runs.complete(run, projects.project_id_of(run.terms), at=at)
    templates = await template_repository.get_pinned(tx, run.pins)
    number = await project_repository.next_number(tx)
    await project_repository.add(tx, projects.plan_project(run, templates, number=number, at=at))
    await repository.save(tx, change)
    return change.state


async def postpone(tx: AsyncConnection, run_id: UUID, *, at: datetime) -> Run:
    """Let a run rest, since its step could not be taken; it is tried again by itself.

    Raises:
        RunNotFound, StaleVersion.
    """
    change = runs.postpone(await repository.get(tx, run_id), at=at)
    await repository.save(tx, change)
    return change.state


async def resume_run(tx: AsyncConnection, run_id: UUID, *, at: datetime) -> Run:
    """Have a paused run checked again.

    Raises:
        RunNotFound, EntityForbidden, IllegalTransition, StaleVersion.
    """
    run = await repository.get(tx, run_id)
    require_entity(run.terms.legal_entity_id)
    versions = await template_repository.latest_versions(tx, run.terms.template_codes)
    change = runs.resume(run, versions, at=at)
    await repository.save(tx, change)
    return change.state


async def cancel_run(tx: AsyncConnection, run_id: UUID, *, reason: str, at: datetime) -> Run:
    """Give a run up that made no project yet.

    Raises:
        RunNotFound, EntityForbidden, IllegalTransition, StaleVersion.
    """
    run = await repository.get(tx, run_id)
    require_entity(run.terms.legal_entity_id)
    change = runs.cancel(run, reason, at=at)
    await repository.save(tx, change)
    return change.state
