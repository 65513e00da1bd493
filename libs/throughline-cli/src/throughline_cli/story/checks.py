"""What must be true when the story is told: each a sentence, with the figure that was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from throughline_cli.story.cast import Cast
from throughline_cli.story.deals import WRONG_TAX_ID
from throughline_cli.story.told import Told


@dataclass(frozen=True, slots=True)
class Check:
    """One claim about the end of the story."""

    claim: str
    expected: Any
    found: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.found)


def checks(told: Told, cast: Cast) -> Sequence[Check]:
    """Return every claim with what was found."""
    full, part = told.invoices["DE01"], told.invoices["US01"]
    held = list(cast.finance.pages("/v1/billing-events", "billing_events", status="held"))
    amounts = {(row["holds"][0], row["amount"]["amount"]): row["billing_event_id"] for row in held}
    return (
        *_only_the_first_time(told),
        Check("the wrong tax id is gone", False, part["buyer"]["tax_id"] == WRONG_TAX_ID),
        Check(
            "the hour over the not-to-exceed is held, and nothing else of it",
            True,
            any(reason == "limit_exceeded" and plain(a) == "121" for reason, a in amounts),
        ),
        Check(
            "the second milestone waits for its acceptance",
            True,
            any(reason == "awaiting_acceptance" and plain(a) == "14400" for reason, a in amounts),
        ),
        Check("net of the mixed invoice", "44655.00", full["net_total"]["amount"]),
        Check("its tax", "8484.45", full["tax_total"]["amount"]),
        Check("its total", "53139.45", full["gross_total"]["amount"]),
        Check("it is paid", "paid", full["status"]),
        Check("total of the plain invoice", "43367.50", part["gross_total"]["amount"]),
        Check("it is paid in part", "partially_paid", part["status"]),
        Check("by as much as was sent", "20000.00", part["paid_total"]["amount"]),
        Check("one callback came five times", 5, told.callbacks),
        Check(
            "and was booked once",
            2,
            len(list(cast.finance.pages("/v1/payments", "payments"))),
        ),
        Check("numbers start at one", "INV-DE01-2026-000001", full["number"]),
        Check("every invoice has its PDF", 2, len(told.documents)),
        Check("every invariant holds", True, told.reconciliation["holds"]),
        Check("nothing is under way", True, told.reconciliation["settled"]),
        Check(
            "an hour leads back to the CRM's record and on to the payment",
            True,
            told.cent[0]["kind"] == "source_record"
            and {"task", "time_entry", "billing_event", "invoice", "payment"}
            <= {node["kind"] for node in told.cent},
        ),
    )


def _only_the_first_time(told: Told) -> Sequence[Check]:
    """Return what can be seen while it happens, and no longer when the story is told again."""
    pause, totals = told.pause, told.previews["DE01"]["totals"]
    found = []
    if pause["state"] == "paused":
        found = [
            Check("a run paused on the tax id", "customer.tax_id_invalid", pause["reason"]),
            Check("sales operations had to mend it", "sales_operations", pause["owner"]),
        ]
    if totals:
        previewed = totals[0]["gross_total"]["amount"]
        found.append(Check("the preview said what was issued", "53139.45", previewed))
    return found


def plain(amount: str) -> str:
    """Return a decimal string without the noughts that carry nothing: `120.00` is `120`."""
    return amount.rstrip("0").rstrip(".") if "." in amount else amount
