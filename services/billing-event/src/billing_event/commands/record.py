"""Takes in what other services announce: terms, cards, customers, and what was invoiced."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import claim, save
from billing_event.commands import (
    intercompany,
    report_changes,
    report_limits,
    report_usage,
    retainer,
    usage,
)
from billing_event.commands.rate import RECONSIDERED_MAX, reconsider, reconsider_due
from billing_event.domain.agreement import Agreement
from billing_event.domain.claim import (
    Claim,
    ClaimBeforeRelease,
    ClaimExceedsOpen,
    ClaimExceedsRow,
)
from billing_event.domain.limit_usage import Usage
from billing_event.domain.position import BillingEventNotFound
from billing_event.domain.rating import customer_holds
from billing_event.domain.recurring import RecurringPeriod, corrections, plan, step_of
from billing_event.domain.source import ContractId, SourceItemId
from billing_event.domain.terms import CustomerState
from billing_event.repository import (
    fact,
    limit,
    limit_wake,
    retainer_top_up,
    standing,
    waiting,
)
from billing_event.repository import recurring as calendar
from billing_event.repository import usage as usage_periods
from billing_event.repository.fact import Told
from throughline.customer_contract.v1 import rate_card_pb2
from throughline_core.errors import Refusal


async def record_terms(tx: AsyncConnection, told: Sequence[Told], *, at: datetime) -> None:
    """Keep terms; newer ones move limits and calendar, hold or free work, and move periods."""
    epoch = await fact.raise_epoch(tx)
    news = await fact.add_terms(tx, told, epoch=epoch, at=at)
    if not news:
        return
    contract_ids = [each.newest.contract_id for each in news]
    left = await waiting.of_contracts(tx, contract_ids, limit=RECONSIDERED_MAX)
    charged = await calendar.load_charged(tx, contract_ids)
    moved = _moved(news, charged)
    corrected = [SourceItemId(period.recurring_period_id) for period in moved]
    topped_up = await retainer_top_up.approved_of(tx, contract_ids)
    # As everybody does: periods of usage first, then rows, and limits last.
    metered = await usage_periods.lock_of(tx, contract_ids)
    added = [*metered, *(each.retainer_top_up_id for each in topped_up)]
    await standing.lock(tx, [*left, *corrected, *map(SourceItemId, added)])
    await report_limits.put_limits(tx, news, at=at)
    await calendar.plan_periods(tx, news, [each for one in news for each in plan(one)])
    await retainer.plan(tx, news, charged, epoch=epoch, at=at)
    if moved:
        await calendar.charge_anew(tx, moved)
        await save.add_steps(tx, [step_of(each, version=epoch) for each in moved], at=at)
        await reconsider(tx, corrected, at=at)
    await usage.plan(tx, news, at=at)
    await report_usage.report_priced_since(tx, news, at=at)
    await reconsider_due(tx, at=at, first=left, contract_ids=contract_ids)
    await intercompany.charge_due(tx, at=at)
    await report_changes.report_terms(tx, [each.newest for each in news])


def _moved(
    news: Sequence[Agreement], charged: Mapping[ContractId, Sequence[RecurringPeriod]]
) -> list[RecurringPeriod]:
    """Return charged periods whose days newer terms have moved, as they are charged now."""
    return [
        period
        for agreement in news
        for period in corrections(agreement, charged.get(agreement.newest.contract_id, ()))
    ]


async def record_cards(
    tx: AsyncConnection, cards: Sequence[rate_card_pb2.RateCard], *, at: datetime
) -> None:
    """Keep rate cards, rate what waited for one, and charge what waited for a transfer price."""
    epoch = await fact.raise_epoch(tx)
    await fact.add_cards(tx, cards, epoch=epoch, at=at)
    await reconsider_due(tx, at=at)
    await intercompany.charge_due(tx, at=at)


async def record_customers(
    tx: AsyncConnection, customers: Iterable[CustomerState], *, at: datetime
) -> None:
    """Keep customers; what waits for the checkpoint is held, or let go, as they are now.

    Rows beyond the first few thousand are looked at by the schedule and, at the latest, by the
    checkpoint itself.
    """
    epoch = await fact.raise_epoch(tx)
    news = await fact.put_customers(tx, customers, epoch=epoch)
    stopped = [customer.customer_id for customer in news if customer_holds(customer)]
    left = await waiting.of_customers(tx, stopped, limit=RECONSIDERED_MAX)
    await reconsider_due(tx, at=at, first=left)


async def allocate(tx: AsyncConnection, claims: Sequence[Claim], *, at: datetime) -> None:
    """Write what an issued invoice claimed of each row, and commit it to the limits.

    Raises:
        BillingEventNotFound: a row is not known here.
        ClaimBeforeRelease, ClaimExceedsOpen, ClaimExceedsRow: the row is not released, or less of
            it is open, or there is less of it.
    """
    owners = await claim.lock_rows(tx, [each.billing_event_id for each in claims])
    unknown = {each.billing_event_id for each in claims} - owners.keys()
    if unknown:
        raise BillingEventNotFound(f"billing event {min(unknown)} is not known")
    await limit.pass_gates(tx, {owner.contract_id for owner in owners.values()})
    await limit.lock_of_rows(tx, owners.keys())
    days = {
        row_id: at.astimezone(ZoneInfo(owner.time_zone)).date() for row_id, owner in owners.items()
    }
    try:
        added = await claim.add(tx, claims, days, at=at)
    except IntegrityError as error:
        # Of free work the quantity alone says so.
        is_claimed = any(owner.allocated_quantity for owner in owners.values())
        refusal = _refusal_of(error, claims[0], is_claimed=is_claimed)
        if refusal is None:
            raise
        raise refusal from error
    fresh = [each for each in claims if each.allocation_id in added]
    eased = await limit.settle(tx, fresh, at=at)
    if eased:
        await _tell_room(tx, eased, at=at)


async def _tell_room(tx: AsyncConnection, eased: Sequence[Usage], *, at: datetime) -> None:
    """Tell of limits that got room, and have what they stopped judged again."""
    await report_limits.report_usage(tx, eased, at=at)
    await report_limits.report_lowered(tx, eased)
    contracts = {each.limit.contract_id for each in eased if each.limit.contract_id is not None}
    customers = {each.limit.customer_id for each in eased if each.limit.customer_id is not None}
    await limit_wake.note(tx, contracts, customers, at=at)


def _refusal_of(error: IntegrityError, first: Claim, *, is_claimed: bool) -> Refusal | None:
    """Return what a check of `position` means to whoever claims."""
    if "position_claims_released_rows" in str(error.orig):
        return ClaimBeforeRelease(f"invoice {first.invoice_id} bills what was not released")
    if "position_claims_no_more" in str(error.orig):
        kind = ClaimExceedsOpen if is_claimed else ClaimExceedsRow
        return kind(
            f"invoice {first.invoice_id} bills more than is open",
            advice="compare the invoice's items with the positions of its contract",
        )
    return None
