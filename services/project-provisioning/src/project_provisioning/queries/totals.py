"""Control totals: what this service says there is, for `reconcile` to compare with the others."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.totals import ControlTotal

# Time that may be billed: approved and billable; each entry is under a contract line.
_APPROVED_TIME: Final = text("""
    SELECT count(*) AS entries, coalesce(sum(entry.minutes), 0) AS minutes
    FROM time_entry AS entry JOIN timesheet AS sheet USING (timesheet_id)
    WHERE sheet.status = 'approved' AND entry.billable
""")

_APPROVED_EXPENSES: Final = text("""
    SELECT line.currency, count(*) AS lines, sum(line.net_amount) AS net
    FROM expense_line AS line JOIN expense_report AS report USING (expense_report_id)
    WHERE report.status = 'approved' AND line.billable
    GROUP BY line.currency
""")

# An accepted milestone was completed as well.
_MILESTONES: Final = text("""
    SELECT currency,
           count(*) FILTER (WHERE status IN ('completed', 'accepted')) AS completed,
           count(*) FILTER (WHERE status = 'accepted') AS accepted,
           coalesce(sum(amount) FILTER (WHERE status = 'accepted'), 0) AS accepted_amount
    FROM milestone GROUP BY currency
""")

_PROJECTS: Final = text("""
    SELECT (SELECT count(*) FROM project WHERE status = 'active') AS active,
           (SELECT count(*) FROM provisioning_run WHERE state NOT IN ('activated', 'cancelled'))
               AS waiting
""")


async def control_totals(tx: AsyncConnection) -> list[ControlTotal]:
    """Return the service's control totals as of the transaction's snapshot."""
    time = (await tx.execute(_APPROVED_TIME)).one()
    expenses = (await tx.execute(_APPROVED_EXPENSES)).all()
    milestones = (await tx.execute(_MILESTONES)).all()
    projects = (await tx.execute(_PROJECTS)).one()
    return [
        ControlTotal("approved_time", {"entries": time.entries, "minutes": time.minutes}),
        ControlTotal(
            "approved_expenses",
            {
                "lines": sum(row.lines for row in expenses),
                **_by_currency("net", {row.currency: row.net for row in expenses}),
            },
        ),
        ControlTotal(
            "milestones",
            {
                "completed": sum(row.completed for row in milestones),
                "accepted": sum(row.accepted for row in milestones),
                **_by_currency(
                    "accepted_amount",
                    {row.currency: row.accepted_amount for row in milestones if row.accepted},
                ),
            },
        ),
        ControlTotal("projects", {"active": projects.active}),
        ControlTotal("contracts_without_project", {"count": projects.waiting}),
    ]


def _by_currency(figure: str, amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {f"{figure}.{currency}": amount for currency, amount in amounts.items()}
