"""Comparisons of rules: started and steered by people, worked off chunk by chunk."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import job
from billing_event.commands.lines import require_contracts
from billing_event.domain.job import RunStatus
from billing_event.domain.shadow import (
    ShadowRun,
    ShadowRunId,
    ShadowRunNotFound,
    ShadowScope,
    compare,
    require_rules,
)
from billing_event.domain.steering import steered
from billing_event.repository import exchange, fact, standing
from billing_event.repository import shadow as repository
from billing_event.wire.shadow import read_rules
from throughline.billing_event.v1 import shadow_service_pb2 as pb
from throughline_runtime.ids import new_id

CHUNK_ITEMS: Final = 2_000
"""Things one transaction of a run compares."""

# Work is recorded at the start of a transaction that commits a little later.
_SETTLING: Final = timedelta(seconds=15)
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def start(
    tx: AsyncConnection,
    name: str,
    rules: pb.ShadowRules,
    scope: ShadowScope,
    *,
    is_live: bool,
    by: str,
    at: datetime,
) -> ShadowRun:
    """Start a comparison over past work, or over work from now on.

    Raises:
        ContractNotFound, EntityForbidden: it names a contract that is not there for the caller.
        NoRules, CardTwice, NoPrice, MalformedField: the rules do not make sense.
    """
    await require_contracts(tx, {"scope.contract_id": scope.contract_id})
    candidate = pb.ShadowRules()
    candidate.CopyFrom(rules)
    for card in candidate.rate_cards:
        if not card.HasField("published_at"):
            # As if it were published now: of several cards for one purpose the latest goes first.
            card.published_at.FromDatetime(at)
    require_rules(read_rules(candidate))
    run = ShadowRun(
        shadow_run_id=ShadowRunId(new_id()),
        version=1,
        name=name,
        rules=candidate.SerializeToString(deterministic=True),
        scope=scope,
        is_live=is_live,
        status=RunStatus.RUNNING,
        cursor_at=at if is_live else _EVER,
        started_by=by,
        started_at=at,
    )
    await repository.add(tx, run)
    return run


async def steer(
    tx: AsyncConnection, run_id: ShadowRunId, status: RunStatus, *, at: datetime
) -> ShadowRun:
    """Stop a run, or let it go on.

    Raises:
        ShadowRunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it does not lead there.
    """
    run = await repository.get(tx, run_id, lock=True)
    require_visible(run)
    changed = steered(run, status, at=at)
    await repository.save(tx, changed)
    return changed


async def work(tx: AsyncConnection, run: ShadowRun, *, at: datetime) -> bool:
    """Compare the next chunk of a run; return whether there was anything to do.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    settled = at - _SETTLING
    until = settled if run.is_live else min(run.started_at, settled)
    found = await repository.next_items(tx, run, until=until, limit=CHUNK_ITEMS)
    if not found:
        if not run.is_live and settled >= run.started_at:
            await repository.save(tx, steered(run, RunStatus.DONE, at=at))
            return True
        return False
    by_id = await standing.load_items(tx, [row.source_item_id for row in found])
    items = [by_id[row.source_item_id] for row in found]
    contract_ids = {item.contract_id for item in items if item.contract_id is not None}
    facts = await fact.load_facts(tx, contract_ids)
    facts = await exchange.with_exchange(tx, facts, items)
    rules = read_rules(pb.ShadowRules.FromString(run.rules))
    compared = list(compare(facts, rules, items))
    different = [each for each in compared if each.is_different]
    if different:
        await repository.add_differences(tx, run.shadow_run_id, different)
    await repository.count(
        tx,
        run,
        compared,
        cursor_at=found[-1].recorded_at,
        cursor_id=found[-1].source_item_id,
    )
    return True


def require_visible(run: ShadowRun) -> None:
    """Check that the caller may see a run: all the entities it is about.

    Raises:
        ShadowRunNotFound, EntityForbidden: the caller may not.
    """
    missing = ShadowRunNotFound(f"{run.name_in_words} does not exist", field="shadow_run_id")
    job.require_visible(run.scope.legal_entity_ids, missing)
