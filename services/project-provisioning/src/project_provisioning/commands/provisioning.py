"""The steps of provisioning runs, many runs at a time, and what people may do about one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands.baseline import take_first
from project_provisioning.commands.following import know_parties
from project_provisioning.domain import project as projects
from project_provisioning.domain import run as runs
from project_provisioning.domain.amendment import Templates, amend_projects, made_lines
from project_provisioning.domain.check import (
    CONTRACT_NOT_ACTIVE,
    Check,
    ErpAccount,
    Grounds,
    has_failed,
    of_new_lines,
    own_checks,
)
from project_provisioning.domain.planning import plan_projects
from project_provisioning.domain.project import Project
from project_provisioning.domain.run import Run, RunKind, RunState
from project_provisioning.domain.template import Template
from project_provisioning.repository import project as project_repository
from project_provisioning.repository import run as repository
from project_provisioning.repository import template as template_repository
from project_provisioning.repository.project import ProjectChange
from project_provisioning.wire.terms import read_terms
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime.identity import require_entity

CONTRACT_ENDED = "the contract ended"
DELIVERY_GIVEN_UP = "the delivery of the contract was given up"


@dataclass(frozen=True, slots=True)
class Answer:
    """What peers say about a contract: its readiness, and the customer's account in the ERP."""

    checks: Sequence[Check]
    erp_account: ErpAccount


@dataclass(frozen=True, slots=True)
class Amendment:
    """A later version of a contract's terms, and the change order it came with."""

    contract: contract_pb2.Contract
    change_order_id: UUID | None


@dataclass(frozen=True, slots=True)
class End:
    """A contract that ended; `version` is the contract's."""

    contract_id: UUID
    work_ends_on: date
    version: int


async def receive_contracts(
    tx: AsyncConnection, contracts: Sequence[contract_pb2.Contract]
) -> None:
    """Start the run that delivers each contract which has none."""
    at = await _now(tx)
    received = [
        (runs.receive(read_terms(contract), at=at, kind=RunKind.DELIVERY), contract)
        for contract in contracts
    ]
    await repository.add_all(tx, received)


async def receive_amendments(tx: AsyncConnection, amendments: Sequence[Amendment]) -> None:
    """Start a run for each version of a contract's terms that has none."""
    at = await _now(tx)
    received = [
        (
            runs.receive(
                read_terms(amendment.contract),
                at=at,
                kind=RunKind.AMENDMENT,
                change_order_id=amendment.change_order_id,
            ),
            amendment.contract,
        )
        for amendment in amendments
    ]
    await repository.add_all(tx, received)


async def end_contracts(tx: AsyncConnection, ends: Sequence[End]) -> None:
    """Let work on contracts end: runs under way are given up, projects take none after the day."""
    at = await _now(tx)
    ended = {end.contract_id: end for end in sorted(ends, key=lambda end: end.version)}
    await project_repository.note_ends(
        tx, {key: (end.work_ends_on, end.version) for key, end in ended.items()}
    )
    open_runs = await repository.open_runs_of(tx, ended)
    await repository.save_all(
        tx, [(run, runs.cancel(run, CONTRACT_ENDED, at=at)) for run in open_runs]
    )
    found = await project_repository.get_of_contracts(tx, ended)
    await project_repository.save_all(
        tx,
        [projects.end_work(project, ended[project.contract_id].work_ends_on) for project in found],
    )


async def begin_validation(
    tx: AsyncConnection, seen: Sequence[Run], *, at: datetime
) -> Sequence[Run]:
    """Pin received runs to the templates published last, and have them checked.

    An amendment that a later one overtook, or whose contract is not delivered, is given up.
    Returns the runs it moved; those somebody else moved meanwhile are not among them.
    """
    locked = await repository.lock(tx, seen)
    amended = [run.terms.contract_id for run in locked if run.kind is RunKind.AMENDMENT]
    latest_terms = await repository.latest_terms(tx, amended) if amended else {}
    undelivered = await repository.undelivered(tx, amended) if amended else frozenset()
    versions = await _published(tx, locked)
    moves: list[repository.Move] = []
    for run in locked:
        latest = latest_terms.get(run.terms.contract_id, run.terms.contract_version)
        if run.terms.contract_id in undelivered:
            change = runs.cancel(run, DELIVERY_GIVEN_UP, at=at)
        elif latest > run.terms.contract_version:
            change = runs.cancel(run, f"overtaken by version {latest} of the terms", at=at)
        else:
            change = runs.begin_validation(run, versions, at=at)
        moves.append((run, change))
    await repository.save_all(tx, moves)
    return [change.state for _, change in moves]


async def judge_runs(
    tx: AsyncConnection,
    asked: Sequence[Run],
    answers: Mapping[UUID, Answer],
    *,
    at: datetime,
    recheck_seconds: float,
) -> Sequence[Run]:
    """Let runs go on or pause, by what peers said about them as they were when `asked`.

    `answers` are by run. Those that stay paused are due again after `recheck_seconds`, those whose
    contract has ended are given up. Returns the runs nobody else moved meanwhile.
    """
    locked = await repository.lock(tx, asked)
    judged = await _taken_up(tx, locked)
    ended = await _ended(tx, locked, answers)
    templates = await template_repository.get_versions(
        tx, {pin for run in judged for pin in run.pins.items()}
    )
    named = {person_id for run in judged for person_id in run.terms.named_persons}
    known = await repository.known_persons(tx, named) if named else frozenset()
    made = await _made_lines(tx, judged)
    moves: list[repository.Move] = []
    for before, run in zip(locked, judged, strict=True):
        answer = answers[run.run_id]
        grounds = Grounds(
            templates=_pinned(run, templates),
            known_persons=known,
            erp_account=answer.erp_account,
            made_lines=made.get(run.terms.contract_id, frozenset()),
        )
        of_peers = of_new_lines(answer.checks, grounds.made_lines)
        checks = (*of_peers, *own_checks(run.terms, grounds))
        if run.terms.contract_id in ended:
            moves.append((before, runs.cancel(before, CONTRACT_ENDED, at=at)))
        else:
            moves.append((before, runs.judge(run, checks, at=at)))
    await repository.save_all(tx, moves, recheck_seconds=recheck_seconds)
    resting = [
        change.state.run_id for before, change in moves if change.state.version == before.version
    ]
    if resting:
        await repository.rest(tx, resting, seconds=recheck_seconds)
    return [change.state for _, change in moves]


async def provision(tx: AsyncConnection, seen: Sequence[Run], *, at: datetime) -> Sequence[Run]:
    """Make or amend the projects of runs that passed their checks: all of each, and its end.

    Returns the runs it moved; those somebody else moved meanwhile are not among them.
    """
    locked = await repository.lock(tx, seen)
    if not locked:
        return []
    amended = [run.terms.contract_id for run in locked if run.kind is RunKind.AMENDMENT]
    delivered = await project_repository.get_of_contracts(tx, amended) if amended else []
    templates = await template_repository.get_versions(tx, _versions_of(locked, delivered))
    ends = await project_repository.ends_of(tx, [run.terms.contract_id for run in locked])
    numbers = iter(
        await project_repository.next_numbers(tx, sum(len(_new(run, delivered)) for run in locked))
    )
    changes: list[ProjectChange] = []
    moves: list[repository.Move] = []
    for run in locked:
        pinned = _pinned(run, templates)
        if run.kind is RunKind.DELIVERY:
            made = plan_projects(
                run.terms,
                pinned,
                run_id=run.run_id,
                numbers=numbers,
                at=at,
                work_ends_on=ends.get(run.terms.contract_id),
            )
        else:
            made = amend_projects(
                _of(run, delivered),
                run.terms,
                Templates(pinned, {each.label: each for each in templates.values()}),
                run_id=run.run_id,
                change_order_id=run.change_order_id,
                numbers=numbers,
                at=at,
            )
        changes += (change for change in made if change.events)
        project_ids = [change.state.project_id for change in made]
        moves.append((run, runs.complete(run, project_ids, at=at)))
    changes = list(await know_parties(tx, changes))
    await project_repository.save_all(tx, changes)
    await take_first(tx, [change.state for change in changes if change.state.version == 1], at=at)
    await repository.save_all(tx, moves)
    return [change.state for _, change in moves]


async def postpone(
    tx: AsyncConnection, seen: Sequence[Run], *, at: datetime, recheck_seconds: float
) -> None:
    """Let runs rest, since their step could not be taken; they are tried again by themselves."""
    locked = await repository.lock(tx, seen)
    waiting = [run for run in locked if run.state is not RunState.PAUSED]
    await repository.save_all(tx, [(run, runs.postpone(run, at=at)) for run in waiting])
    paused = [run.run_id for run in locked if run.state is RunState.PAUSED]
    if paused:
        await repository.rest(tx, paused, seconds=recheck_seconds)


async def resume_run(tx: AsyncConnection, run_id: UUID, *, at: datetime) -> Run:
    """Have a paused run checked again.

    Raises:
        RunNotFound, EntityForbidden, IllegalTransition, StaleVersion.
    """
    run = await repository.get(tx, run_id)
    require_entity(run.terms.legal_entity_id)
    [renewed] = await repository.renew(tx, [run])
    change = runs.resume(renewed, await _published(tx, [renewed]), at=at)
    await repository.save(tx, run, change)
    return change.state


async def cancel_run(tx: AsyncConnection, run_id: UUID, *, reason: str, at: datetime) -> Run:
    """Give a run up, and take back the projects it made while nothing was recorded on them.

    Raises:
        RunNotFound, EntityForbidden, IllegalTransition, AmendmentFinal, ProjectInUse, StaleVersion.
    """
    run = await repository.get(tx, run_id)
    require_entity(run.terms.legal_entity_id)
    change = runs.cancel(run, reason, at=at)
    if run.state is RunState.ACTIVATED:
        await _take_back(tx, run.terms.contract_id)
    await repository.save(tx, run, change)
    return change.state


async def _take_back(tx: AsyncConnection, contract_id: UUID) -> None:
    """Close all projects of the contract, those too that amendments added to it."""
    found = await project_repository.get_of_contracts(tx, [contract_id])
    for project in found:
        require_entity(project.legal_entity_id)
    obstacles = await project_repository.obstacles_of(tx, [each.project_id for each in found])
    await project_repository.save_all(
        tx, [projects.take_back(project, obstacles[project.project_id]) for project in found]
    )


async def _now(tx: AsyncConnection) -> datetime:
    now: datetime = (await tx.execute(select(func.now()))).scalar_one()
    return now


async def _taken_up(tx: AsyncConnection, locked: Sequence[Run]) -> Sequence[Run]:
    """Return runs to be judged, the paused ones with what was agreed and published since."""
    paused = [run for run in locked if run.state is RunState.PAUSED]
    if not paused:
        return locked
    renewed = {run.run_id: run for run in await repository.renew(tx, paused)}
    versions = await _published(tx, renewed.values())
    return [
        runs.repin(renewed[run.run_id], versions) if run.run_id in renewed else run
        for run in locked
    ]


async def _ended(
    tx: AsyncConnection, locked: Sequence[Run], answers: Mapping[UUID, Answer]
) -> Collection[UUID]:
    """Return the contracts that are no longer in force because they ended.

    Their end may be known before the run: it was received for nothing then.
    """
    inactive = [
        run.terms.contract_id
        for run in locked
        if has_failed(answers[run.run_id].checks, CONTRACT_NOT_ACTIVE)
    ]
    return await project_repository.ends_of(tx, inactive) if inactive else ()


async def _published(tx: AsyncConnection, chosen: Iterable[Run]) -> Mapping[str, int]:
    codes = {code for run in chosen for code in run.terms.template_codes}
    return await template_repository.published_versions(tx, codes) if codes else {}


async def _made_lines(tx: AsyncConnection, chosen: Sequence[Run]) -> Mapping[UUID, frozenset[UUID]]:
    amended = [run.terms.contract_id for run in chosen if run.kind is RunKind.AMENDMENT]
    if not amended:
        return {}
    found = await project_repository.get_of_contracts(tx, amended)
    return {
        contract_id: made_lines([each for each in found if each.contract_id == contract_id])
        for contract_id in amended
    }


def _pinned(run: Run, templates: Mapping[tuple[str, int], Template]) -> Mapping[str, Template]:
    return {code: templates[code, version] for code, version in run.pins.items()}


def _versions_of(chosen: Sequence[Run], delivered: Sequence[Project]) -> set[tuple[str, int]]:
    """Return the template versions of runs and of the lines that projects have already."""
    wanted = {pin for run in chosen for pin in run.pins.items()}
    for label in {line.template for project in delivered for line in project.lines}:
        code, _, version = label.rpartition("@")
        if code:
            wanted.add((code, int(version)))
    return wanted


def _of(run: Run, delivered: Sequence[Project]) -> list[Project]:
    return [project for project in delivered if project.contract_id == run.terms.contract_id]


def _new(run: Run, delivered: Sequence[Project]) -> set[object]:
    """Return the workstreams of a run's terms that have no project yet."""
    known = {project.workstream for project in _of(run, delivered)}
    return {workstream for workstream in run.terms.workstreams if workstream not in known}
