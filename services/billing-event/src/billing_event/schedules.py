"""What billing-event does by the clock: charges what is due, takes up what was left, measures."""

from typing import Final
from uuid import UUID

import structlog

from billing_event.commands import (
    intercompany,
    rate,
    release_run,
    report,
    rerating_drive,
    retainer,
    shadow,
    usage,
)
from billing_event.commands import report_changes as changes
from billing_event.commands.settle import settle_withdrawal
from billing_event.queries import totals
from billing_event.repository import recurring
from billing_event.repository import release as releases
from billing_event.repository import retainer as retainers
from billing_event.repository import shadow as shadows
from billing_event.repository import usage as usage_periods
from billing_event.repository.release import RunMovedOn
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.schedule import Schedule
from throughline_runtime.telemetry.metrics import domain_gauge

_log: Final = structlog.get_logger(__name__)

_UNBILLED: Final = domain_gauge(
    "unbilled_amount", "Released and not invoiced, before tax, by currency.", ["currency"]
)


async def charge_recurring(context: Context) -> None:
    """Charge every recurring period that is due today in its contract's zone.

    Days on which nobody looked are caught up, because what was not charged yet is still due.
    """
    has_more = True
    while has_more:
        async with database.write(context.engine) as tx:
            zones = await recurring.load_zones(tx)
            through = {zone: context.clock.today(zone) for zone in zones}
            _, has_more = await rate.charge(
                tx, through, at=context.clock.now(), limit=rate.CHARGED_MAX
            )


async def close_usage(context: Context) -> None:
    """Charge every usage period that is over in its contract's zone; missed days are caught up.

    Readings of the future count from their own instant on, and leave the queue then.
    """
    async with database.read(context.engine) as tx:
        zones = await usage_periods.load_zones(tx)
    through = {zone: context.clock.today(zone) for zone in zones}
    after, is_first = None, True
    while is_first or after is not None:
        is_first = False
        async with database.write(context.engine) as tx:
            after = await usage.close_over(tx, through, at=context.clock.now(), after=after)
    async with database.write(context.engine) as tx:
        await usage.report_ahead(tx, at=context.clock.now())


async def turn_retainers(context: Context) -> None:
    """Open the periods of retainers that have begun, and close those that are over.

    A period that ended while nobody looked is closed late, with the balance it had, and only once.
    """
    turned = retainer.TURNED_MAX
    while turned == retainer.TURNED_MAX:
        async with database.write(context.engine) as tx:
            today = {zone: context.clock.today(zone) for zone in await retainers.load_zones(tx)}
            turned = await retainer.turn_due(tx, today, at=context.clock.now())


async def reconsider_held(context: Context) -> None:
    """Judge again what newer facts may have freed and no consumer has looked at.

    A batch that was rated while its contract's terms were being written saw none, and they did not
    see the batch; and one consumer looks at a few thousand things only.
    """
    async with database.write(context.engine) as tx:
        await rate.wake_limited(tx)
    found = rate.RECONSIDERED_MAX
    while found == rate.RECONSIDERED_MAX:
        async with database.write(context.engine) as tx:
            found = await rate.reconsider_due(tx, at=context.clock.now())
    charged = intercompany.DUE_MAX
    while charged == intercompany.DUE_MAX:
        async with database.write(context.engine) as tx:
            charged = await intercompany.charge_due(tx, at=context.clock.now())


async def report_held(context: Context) -> None:
    """Show in the exceptions queue what somebody has to mend before it can be billed."""
    async with database.write(context.engine) as tx:
        await report.report_held(tx)
        await intercompany.report_unpriced(tx)


async def report_changes(context: Context) -> None:
    """Show in the exceptions queue the work that changed terms or a contract's end overtook."""
    async with database.write(context.engine) as tx:
        await changes.report_changes(tx, at=context.clock.now())


async def measure_unbilled(context: Context) -> None:
    """Export what is released and not invoiced; a currency with none left is not exported."""
    async with database.read(context.engine) as tx:
        amounts = await totals.unbilled(tx)
    _UNBILLED.clear()
    for currency, amount in amounts.items():
        _UNBILLED.labels(currency).set(float(amount))


async def drive_releases(context: Context) -> None:
    """Work on all release runs, a chunk of each in turn, until none is left.

    Every chunk commits its effect and the run's progress together.
    """
    while True:
        async with database.read(context.engine) as tx:
            runs = await releases.running(tx)
        if not runs:
            return
        for run in runs:
            try:
                async with database.write(context.engine) as tx:
                    await release_run.work(tx, run, at=context.clock.now())
            except RunMovedOn:
                _log.info("release_run_moved_on", run_id=str(run.release_run_id))


async def compare_rules(context: Context) -> None:
    """Work on all comparisons of rules, a chunk of each in turn, until none has anything left."""
    waiting: set[UUID] = set()
    while True:
        async with database.read(context.engine) as tx:
            runs = [each for each in await shadows.running(tx) if each.shadow_run_id not in waiting]
        if not runs:
            return
        for run in runs:
            try:
                async with database.write(context.engine) as tx:
                    has_worked = await shadow.work(tx, run, at=context.clock.now())
            except shadows.RunMovedOn:
                _log.info("shadow_run_moved_on", run_id=str(run.shadow_run_id))
            else:
                if not has_worked:
                    waiting.add(run.shadow_run_id)


async def settle_withdrawals(context: Context) -> None:
    """Ask invoice-payment once more about releases to take back that it has not answered."""
    async with database.read(context.engine) as tx:
        pending = await releases.pending_withdrawals(tx)
    for withdrawal_id in pending:
        await settle_withdrawal(context, withdrawal_id)


SCHEDULES: Final = (
    Schedule("billing-event.drive-releases", 5, drive_releases),
    Schedule("billing-event.compare-rules", 5, compare_rules),
    Schedule("billing-event.settle-withdrawals", 15, settle_withdrawals),
    Schedule("billing-event.charge-recurring", 60, charge_recurring),
    Schedule("billing-event.turn-retainers", 60, turn_retainers),
    Schedule("billing-event.close-usage", 60, close_usage),
    Schedule("billing-event.reconsider-held", 5, reconsider_held),
    Schedule("billing-event.report-held", 10, report_held),
    Schedule(rerating_drive.REPORT, 60, report_changes),
    Schedule("billing-event.measure-unbilled", 15, measure_unbilled),
    Schedule(rerating_drive.RERATE, 2, rerating_drive.drive),
    Schedule("billing-event.rerate-after-drafts", 60, rerating_drive.look_at_drafts),
)
