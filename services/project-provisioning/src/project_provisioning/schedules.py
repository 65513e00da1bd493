"""Provisioning by itself: takes runs as far as they go, many at a time, a transaction a step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from project_provisioning import upkeep
from project_provisioning.commands import provisioning as commands
from project_provisioning.commands import reminder
from project_provisioning.commands.provisioning import Answer
from project_provisioning.commands.watch import remind_of_acceptance, watch_budgets
from project_provisioning.commands.withdrawal import finish_withdrawals
from project_provisioning.domain.check import INTEGRATION, Check, ErpAccount
from project_provisioning.domain.run import Run, RunState
from project_provisioning.peers import ask_erp_accounts, ask_readiness
from project_provisioning.repository import run as repository
from project_provisioning.settings import ProvisioningSettings
from throughline_core.errors import Aborted, Refusal, ResourceExhausted, Unavailable
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.schedule import Schedule

ADVANCE_RUNS: Final = "project-provisioning.advance-runs"
_EVERY_SECONDS: Final = 0.25
_WITHDRAWALS_SECONDS: Final = 15.0
_HOUR_SECONDS: Final = 3600.0
_BATCH: Final = 64
_SECONDS_OF_MINUTE: Final = 60.0

_log: Final = structlog.get_logger(__name__)

Step = Callable[[Context, Sequence[Run]], Awaitable[Sequence[Run]]]


async def advance_runs(context: Context) -> None:
    """Take every due run as far as it goes; one that stands still keeps no other waiting."""
    rechecks = _recheck_seconds() > 0
    while True:
        async with read(context.engine) as tx:
            due = await repository.due(tx, size=_BATCH, rechecks=rechecks)
        if not await _advance(context, due):
            return


async def begin(context: Context, runs: Sequence[Run]) -> Sequence[Run]:
    """Take received runs up and return those that moved."""
    async with write(context.engine) as tx:
        return await commands.begin_validation(tx, runs, at=context.clock.now())


async def judge(context: Context, runs: Sequence[Run]) -> Sequence[Run]:
    """Have validating and paused runs checked, and return those nobody else moved.

    Raises:
        Unavailable, ResourceExhausted, Aborted, PeerFault: a peer gave no answer.
    """
    answers = await _ask(context, runs)
    async with write(context.engine) as tx:
        return await commands.judge_runs(
            tx, runs, answers, at=context.clock.now(), recheck_seconds=_recheck_seconds()
        )


async def provision(context: Context, runs: Sequence[Run]) -> Sequence[Run]:
    """Make the projects of runs that passed their checks, and return those that moved."""
    async with write(context.engine) as tx:
        return await commands.provision(tx, runs, at=context.clock.now())


async def _advance(context: Context, due: Sequence[Run]) -> bool:
    """Take runs from where they stand to where they stop; return whether any was taken."""
    began = await _take(context, _in(due, RunState.RECEIVED), begin)
    asked = _in([*due, *began], RunState.VALIDATING, RunState.PAUSED)
    judged = await _take(context, asked, judge)
    ready = _in([*_in(due, RunState.PROVISIONING), *judged], RunState.PROVISIONING)
    made = await _take(context, ready, provision)
    return bool(began or judged or made)


async def _take(context: Context, runs: Sequence[Run], step: Step) -> Sequence[Run]:
    """Take a step with all runs at once; where that fails, one by one, so that only one waits.

    All of them wait where something they need together is out of reach.
    """
    if not runs:
        return []
    try:
        return await step(context, runs)
    except (Unavailable, ResourceExhausted) as error:
        _log.warning("runs_wait", runs=len(runs), code=error.stable_code)
    except Exception as error:
        if len(runs) > 1:
            return [moved for run in runs for moved in await _take(context, [run], step)]
        refusal = error if isinstance(error, Refusal) else None
        _log.warning(
            "run_waits",
            run_id=str(runs[0].run_id),
            attempts=runs[0].attempts + 1,
            code=refusal.stable_code if refusal else "run.failed",
            exc_info=None if refusal else error,
        )
    async with write(context.engine) as tx:
        await commands.postpone(
            tx, runs, at=context.clock.now(), recheck_seconds=_recheck_seconds()
        )
    return []


def _in(runs: Sequence[Run], *states: RunState) -> list[Run]:
    return [run for run in runs if run.state in states]


def _recheck_seconds() -> float:
    return ProvisioningSettings().recheck_minutes * _SECONDS_OF_MINUTE


async def _ask(context: Context, runs: Sequence[Run]) -> Mapping[UUID, Answer]:
    """Return what peers say about each run; what they refuse about a single one fails a check."""
    try:
        readiness, accounts = await asyncio.gather(
            ask_readiness(context, [run.terms.contract_id for run in runs]),
            ask_erp_accounts(
                context,
                [(run.terms.bill_to_customer_id, run.terms.legal_entity_id) for run in runs],
            ),
        )
    except (Unavailable, ResourceExhausted, Aborted):
        raise
    except Refusal as refusal:
        if len(runs) > 1:
            raise
        advice = refusal.advice or refusal.message
        failed = Check(refusal.stable_code, False, INTEGRATION, advice)
        return {runs[0].run_id: Answer([failed], ErpAccount.NOT_REQUIRED)}
    return {
        run.run_id: Answer(
            readiness[run.terms.contract_id],
            accounts[run.terms.bill_to_customer_id, run.terms.legal_entity_id],
        )
        for run in runs
    }


async def call_for_timesheets(context: Context) -> None:
    """Call for approval of sheets that wait too long, and for ended weeks nobody handed in."""
    async with write(context.engine) as tx:
        await reminder.call_for_approval(tx, at=context.clock.now())
        await reminder.call_for_weeks(tx, today=context.clock.today("UTC"))


SCHEDULES: Final = (
    Schedule(ADVANCE_RUNS, _EVERY_SECONDS, advance_runs),
    Schedule("project-provisioning.finish-withdrawals", _WITHDRAWALS_SECONDS, finish_withdrawals),
    Schedule("project-provisioning.remind-of-acceptance", _HOUR_SECONDS, remind_of_acceptance),
    Schedule("project-provisioning.watch-budgets", _HOUR_SECONDS, watch_budgets),
    Schedule("project-provisioning.call-for-timesheets", _HOUR_SECONDS, call_for_timesheets),
    *upkeep.SCHEDULES,
)
