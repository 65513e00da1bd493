"""Provisioning by itself: takes each run as far as it goes, one step a transaction."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from project_provisioning.commands import provisioning as commands
from project_provisioning.domain.run import UNDER_WAY, Check, Run, RunState
from project_provisioning.repository import run as repository
from project_provisioning.wire.run import read_checks
from throughline.customer_contract.v1.contract_service_pb2 import CheckReadinessRequest
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline_core.errors import (
    Aborted,
    IllegalTransition,
    Refusal,
    ResourceExhausted,
    Unavailable,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.schedule import Schedule

ADVANCE_RUNS: Final = "project-provisioning.advance-runs"
_EVERY_SECONDS: Final = 0.25
_BATCH: Final = 64
# Each run under way holds at most one connection of the pool.
_RUNS_AT_ONCE: Final = 4

_log: Final = structlog.get_logger(__name__)


async def advance_runs(context: Context) -> None:
    """Take every due run as far as it goes; one that stands still keeps no other waiting."""
    slots = asyncio.Semaphore(_RUNS_AT_ONCE)
    while runs := await _due(context):
        async with asyncio.TaskGroup() as tasks:
            for run in runs:
                tasks.create_task(_advance(context, run, slots))


async def take_step(context: Context, run: Run) -> Run:
    """Take the next step of a run that is under way and return the run after it.

    Raises:
        IllegalTransition, Aborted: somebody else was faster.
        Unavailable, ResourceExhausted, PeerFault: customer-contract gave no answer.
    """
    if run.state is RunState.RECEIVED:
        async with write(context.engine) as tx:
            return await commands.begin_validation(tx, run.run_id, at=context.clock.now())
    if run.state is RunState.VALIDATING:
        checks = await _ask_readiness(context, run)
        async with write(context.engine) as tx:
            return await commands.judge_run(tx, run, checks, at=context.clock.now())
    async with write(context.engine) as tx:
        return await commands.provision(tx, run.run_id, at=context.clock.now())


async def _due(context: Context) -> Sequence[Run]:
    async with read(context.engine) as tx:
        return await repository.due(tx, size=_BATCH)


async def _advance(context: Context, run: Run, slots: asyncio.Semaphore) -> None:
    async with slots:
        try:
            while run.state in UNDER_WAY:
                run = await take_step(context, run)
        except (IllegalTransition, Aborted):
            # A person resumed or cancelled it meanwhile: the next look sees what they did.
            return
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else None
            _log.warning(
                "run_waits",
                run_id=str(run.run_id),
                attempts=run.attempts + 1,
                code=refusal.stable_code if refusal else "run.failed",
                exc_info=None if refusal else error,
            )
            await _postpone(context, run)


async def _postpone(context: Context, run: Run) -> None:
    with suppress(IllegalTransition, Aborted):
        async with write(context.engine) as tx:
            await commands.postpone(tx, run.run_id, at=context.clock.now())


async def _ask_readiness(context: Context, run: Run) -> Sequence[Check]:
    """Return what customer-contract says about the contract; what it refuses is a failed check."""
    stub = context.stub(ContractServiceStub, "customer-contract")
    request = CheckReadinessRequest(contract_id=str(run.terms.contract_id))
    try:
        return read_checks(await stub.CheckReadiness(request))
    except (Unavailable, ResourceExhausted, Aborted):
        raise
    except Refusal as refusal:
        advice = refusal.advice or refusal.message
        return [Check(refusal.stable_code, passed=False, owner="integration", advice=advice)]


SCHEDULES: Final = (Schedule(ADVANCE_RUNS, _EVERY_SECONDS, advance_runs),)
