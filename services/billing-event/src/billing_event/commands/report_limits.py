"""Tells how far limits are used: as events, and in the exceptions queue for whoever agrees them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.agreement import Agreement
from billing_event.domain.limit_terms import limits_of
from billing_event.domain.limit_usage import Alert, Usage, alert_of
from billing_event.repository import limit, limit_setting, limit_terms
from billing_event.wire import limits
from throughline_runtime import exceptions, outbox

LOWERED: Final = "limit.agreed_below_taken"
THRESHOLD: Final = "limit.threshold_reached"


async def put_limits(tx: AsyncConnection, news: Sequence[Agreement], *, at: datetime) -> None:
    """Bring the limits of contracts to their newest terms, and tell where more was taken.

    All limits that work under these contracts meets stay locked, daily caps apart.
    """
    agreements = {each.newest.contract_id: each for each in news}
    latest = [each.newest for each in news]
    agreed = [each for terms in latest for each in limits_of(terms)]
    await limit_terms.close_gates_of_new(tx, latest, agreed)
    await limit.lock_of_contracts(tx, agreements)
    usages = await limit_terms.put_limits(tx, latest, agreed, at=at)
    await report_lowered(tx, usages)
    await report_usage(tx, usages, at=at)


async def report_lowered(tx: AsyncConnection, usages: Collection[Usage]) -> None:
    """Show limits of which more had been taken than is agreed now, or take them off the queue."""
    lowered = [usage for usage in usages if usage.is_lowered]
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=LOWERED,
                subject_id=usage.limit.limit_account_id,
                reason=f"a limit of {usage.in_words(usage.agreed)} was agreed for {usage.name},"
                f" {usage.in_words(usage.taken)} are rated already",
                owner="sales_operations",
                advice="agree with the customer on the work above the limit, or raise it again",
                legal_entity_id=usage.limit.legal_entity_id,
            )
            for usage in lowered
        ),
    )
    cured = [usage.limit.limit_account_id for usage in usages if not usage.is_lowered]
    await exceptions.close(tx, LOWERED, cured)


async def report_usage(tx: AsyncConnection, usages: Collection[Usage], *, at: datetime) -> None:
    """Tell of thresholds that were reached, and of those that what is taken fell below again."""
    alerts = [alert for usage in usages if (alert := alert_of(usage)) is not None]
    if not alerts:
        return
    await limit_setting.save_alerts(tx, alerts)
    crossings = [crossing for alert in alerts for crossing in alert.crossings]
    await outbox.append(tx, (limits.threshold_reached(crossing, at=at) for crossing in crossings))
    await exceptions.open_all(tx, (_halt(alert) for alert in alerts if alert.reached_percent))
    below = [each.usage.limit.limit_account_id for each in alerts if not each.reached_percent]
    await exceptions.close(tx, THRESHOLD, below)


def _halt(alert: Alert) -> exceptions.Halt:
    usage = alert.usage
    what = "work over it is held" if usage.is_hard else "it only warns: work over it goes on"
    return exceptions.Halt(
        kind=THRESHOLD,
        subject_id=usage.limit.limit_account_id,
        reason=f"the limit of {usage.name} is used to {alert.reached_percent} %:"
        f" {usage.in_words(usage.taken)} of {usage.in_words(usage.agreed)}; {what}",
        owner="sales_operations",
        advice="agree on more with the customer in time, or plan the rest of the work within it",
        legal_entity_id=usage.limit.legal_entity_id,
        detail={"threshold_percent": alert.reached_percent},
    )
