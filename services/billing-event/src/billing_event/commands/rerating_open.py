"""Opens re-rating runs by itself where a change reaches back: drafts, for people to take up."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.rerating_card import changed_days
from billing_event.domain.rerating_run import (
    Cause,
    Drafted,
    ReratingRun,
    ReratingRunId,
    RunStatus,
    Scope,
)
from billing_event.domain.source import LegalEntityId
from billing_event.domain.terms import RateCard
from billing_event.repository import rerating as repository
from billing_event.repository import rerating_cause
from throughline_core.ids import derived_id
from throughline_core.period import Period
from throughline_runtime import exceptions

CARD_NEWS: Final = "rate_card.rerating_needed"

_DAY: Final = timedelta(days=1)


def advice_on(run_id: ReratingRunId) -> str:
    """Return what to do about work that a change overtook."""
    return (
        f"preview re-rating run {run_id}, look at what it would post, and have a second person"
        " approve it; reject it where the work is to keep its price"
    )


def run_of_terms(contract_id: UUID, contract_version: int) -> ReratingRunId:
    """Return the id of the run that a change of a contract's prices opens."""
    return ReratingRunId(derived_id("rerating_run", contract_id, contract_version))


def run_of_move(contract_id: UUID, contract_version: int) -> ReratingRunId:
    """Return the id of the run that a move of a contract's bill-to opens."""
    return ReratingRunId(derived_id("rerating_run", contract_id, contract_version, "bill_to"))


async def open_run(
    tx: AsyncConnection,
    run_id: ReratingRunId,
    scope: Scope,
    *,
    cause: Cause,
    reason: str,
    at: datetime,
    moves_payers: bool = False,
    takes_over: bool = True,
) -> None:
    """Open a draft, once; it takes over from an earlier one for the same contracts and cause."""
    draft = ReratingRun(
        rerating_run_id=run_id,
        version=1,
        status=RunStatus.DRAFT,
        cause=cause,
        reason=reason,
        scope=scope,
        drafted=Drafted.WAIT,
        moves_payers=moves_payers,
        created_at=at,
    )
    await repository.add(tx, draft)
    if takes_over and scope.contract_ids:
        await rerating_cause.give_up_older_drafts(tx, draft, at=at)


async def open_for_cards(tx: AsyncConnection, *, at: datetime) -> None:
    """Compare new card versions with those before, and open a draft where rated days changed."""
    halts = []
    for old, new in await rerating_cause.unseen_cards(tx):
        days = changed_days(old, new)
        if days is None:
            continue
        for entity_id, items in await rerating_cause.priced_by(tx, new, days):
            run_id = ReratingRunId(
                derived_id("rerating_run", new.rate_card_id, new.version, entity_id)
            )
            reason = f"{new.code} version {new.version}"
            scope = _scope(entity_id, new, days)
            await open_run(tx, run_id, scope, cause=Cause.CARD_VERSION, reason=reason, at=at)
            halts.append(_halt(run_id, new, days, entity_id, items))
    await exceptions.open_all(tx, halts)
    await exceptions.close(tx, CARD_NEWS, await rerating_cause.over(tx, CARD_NEWS))


def _scope(entity_id: LegalEntityId, card: RateCard, days: Period) -> Scope:
    return Scope(
        legal_entity_id=entity_id,
        rate_card_id=card.rate_card_id,
        service_from=days.start,
        service_through=days.end - _DAY,
    )


def _halt(
    run_id: ReratingRunId, card: RateCard, days: Period, entity_id: LegalEntityId, items: int
) -> exceptions.Halt:
    return exceptions.Halt(
        kind=CARD_NEWS,
        subject_id=run_id,
        reason=f"re-rating needed: {items} rated items of {days.start} and later were priced by"
        f" {card.code} before version {card.version} changed its rates",
        owner="finance",
        advice=advice_on(run_id),
        legal_entity_id=entity_id,
        detail={"items": items, "since": days.start.isoformat(), "rerating_run_id": str(run_id)},
    )
