"""Opens re-rating runs by itself where a change reaches back: drafts, for people to take up."""

from dataclasses import replace
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

CONTRACTS_MAX: Final = 500
"""Contracts a run may name; one over more goes through all of its legal entity."""

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
) -> ReratingRunId:
    """Open a draft, once, and return its id; a run that was cancelled is followed by another.

    It takes over from an earlier draft for the same contracts and cause.
    """
    while await repository.is_cancelled(tx, run_id):
        run_id = ReratingRunId(derived_id("rerating_run", run_id, "again"))
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
    return run_id


async def open_for_cards(tx: AsyncConnection, *, at: datetime) -> None:
    """Compare new card versions with those before, and open a draft where rated days changed.

    One for what the card had priced itself, another for what it now prices in place of others.
    """
    halts = []
    for news in await rerating_cause.unseen_cards(tx):
        card, days = news.card, changed_days(news.before, news.card)
        if days is not None:
            for entity_id, items in await rerating_cause.priced_by(tx, card, days):
                scope = replace(_scope(entity_id, days), rate_card_id=card.rate_card_id)
                run_id = await _open_for_card(tx, card, scope, at=at)
                reason = f"were priced by {card.code} before version {card.version} changed it"
                halts.append(_halt(run_id, scope, items, reason))
        days = changed_days(None, card) if news.is_first else days
        if days is not None:
            for entity_id, contracts in (await rerating_cause.outranked_by(tx, card, days)).items():
                named = tuple(sorted(contracts)) if len(contracts) <= CONTRACTS_MAX else ()
                scope = replace(_scope(entity_id, days), contract_ids=named)
                run_id = await _open_for_card(tx, card, scope, at=at)
                reason = f"were priced by other cards before {card.code} version {card.version}"
                halts.append(_halt(run_id, scope, sum(contracts.values()), reason))
    await exceptions.open_all(tx, halts)
    await exceptions.close(tx, CARD_NEWS, await rerating_cause.over(tx, CARD_NEWS))


async def _open_for_card(
    tx: AsyncConnection, card: RateCard, scope: Scope, *, at: datetime
) -> ReratingRunId:
    parts = [card.rate_card_id, card.version, scope.legal_entity_id]
    if scope.rate_card_id is None:
        parts.append("outranked")
    run_id = ReratingRunId(derived_id("rerating_run", *parts))
    reason = f"{card.code} version {card.version}"
    # Drafts for the same contracts because of other cards stand beside it: they have other days.
    return await open_run(
        tx, run_id, scope, cause=Cause.CARD_VERSION, reason=reason, at=at, takes_over=False
    )


def _scope(entity_id: LegalEntityId, days: Period) -> Scope:
    return Scope(
        legal_entity_id=entity_id, service_from=days.start, service_through=days.end - _DAY
    )


def _halt(run_id: ReratingRunId, scope: Scope, items: int, reason: str) -> exceptions.Halt:
    since = scope.service_from
    assert since is not None, "a card changes days"
    return exceptions.Halt(
        kind=CARD_NEWS,
        subject_id=run_id,
        reason=f"re-rating needed: {items} rated items of {since} and later {reason}",
        owner="finance",
        advice=advice_on(run_id),
        legal_entity_id=scope.legal_entity_id,
        detail={"items": items, "since": since.isoformat(), "rerating_run_id": str(run_id)},
    )
