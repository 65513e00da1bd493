"""What billing-event does by the clock: charges what is due, takes up what was left, measures."""

from typing import Final

from billing_event.commands import rate, report
from billing_event.commands import report_changes as changes
from billing_event.queries import totals
from billing_event.repository import recurring
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.schedule import Schedule
from throughline_runtime.telemetry.metrics import domain_gauge

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


async def reconsider_held(context: Context) -> None:
    """Judge again what newer facts may have freed and no consumer has looked at.

    A batch that was rated while its contract's terms were being written saw none, and they did not
    see the batch; and one consumer looks at a few thousand things only.
    """
    found = rate.RECONSIDERED_MAX
    while found == rate.RECONSIDERED_MAX:
        async with database.write(context.engine) as tx:
            found = await rate.reconsider_due(tx, at=context.clock.now())


async def report_held(context: Context) -> None:
    """Show in the exceptions queue what somebody has to mend before it can be billed."""
    async with database.write(context.engine) as tx:
        await report.report_held(tx)


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


SCHEDULES: Final = (
    Schedule("billing-event.charge-recurring", 60, charge_recurring),
    Schedule("billing-event.reconsider-held", 5, reconsider_held),
    Schedule("billing-event.report-held", 10, report_held),
    Schedule("billing-event.report-changes", 60, report_changes),
    Schedule("billing-event.measure-unbilled", 15, measure_unbilled),
)
