"""Whatever is credited in whichever parts and order, all credit notes sum to their invoice."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from invoice_payment_builders import (
    APPROVER,
    CUT_OFF,
    STANDARD,
    a_draft,
    a_number,
    a_rule,
    a_run,
    an_id,
    hours,
    terms,
)
from invoice_payment_serial import Credits, claim_of

from invoice_payment.domain.amounts import RoundingPolicy
from invoice_payment.domain.credit import Claimed, WantedItem, WantedLine
from invoice_payment.domain.credit_note import TotalNotPositive
from invoice_payment.domain.invoice import Invoice, approve
from invoice_payment.domain.issue import issue, printed
from invoice_payment.domain.line import Disposition
from throughline_core.money import Money

REDUCED: Final = replace(STANDARD, rate_percent=Decimal("7.00"))
RULES: Final = (
    a_rule(tax_category="standard"),
    a_rule(tax_category="reduced", tax_rule_id=an_id("2a2"), treatment=REDUCED),
)


@dataclass(frozen=True)
class Billed:
    """A line of an invoice: its rate, and the quantities of its items, of both signs."""

    rate: Decimal
    quantities: Sequence[Decimal]
    tax_category: str


@dataclass(frozen=True)
class Step:
    """A credit note: which item, which share of what is left of it, and what becomes of it."""

    item: int
    percent: int
    disposition: Disposition


# More than all other lines can be below nothing; credited last, so that the last note gives back.
ANCHOR: Final = Billed(Decimal(1_000_000), [Decimal(100)], "standard")

quantities: Final = st.integers(-1500, 1500).filter(bool).map(lambda cents: Decimal(cents) / 100)
rates: Final = st.one_of(
    st.integers(0, 50_000).map(Decimal),
    st.integers(0, 50_000).map(lambda cents: Decimal(cents) / 100),
    st.integers(0, 2_000).map(lambda tenths: Decimal(tenths) / 10_000),
)
lines: Final = st.builds(
    Billed,
    rate=rates,
    quantities=st.lists(quantities, min_size=1, max_size=4),
    tax_category=st.sampled_from(["standard", "reduced"]),
)
steps: Final = st.builds(
    Step, st.integers(0, 15), st.integers(1, 100), st.sampled_from(list(Disposition))
)


def an_invoice(
    billed: Sequence[Billed], currency: str, policy: RoundingPolicy
) -> tuple[Invoice, list[Claimed]]:
    """Return an issued invoice, and the claims of its items; those of the anchor come last."""
    groups = {
        an_id(f"1b{number}"): (
            each,
            hours(
                str(sum(each.quantities)),
                invoice_line_id=an_id(f"1b{number}"),
                unit_rate=Money(each.rate, currency),
                recognised=Money.zero(currency),
                tax_category=each.tax_category,
            ),
        )
        for number, each in enumerate([*billed, ANCHOR])
    }
    draft = a_draft(
        *(group for _, group in groups.values()),
        run=a_run(*RULES, rounding_policy=policy),
        agreed=terms(currency=currency),
    )
    approved = approve(draft, by=APPROVER).state
    invoice = issue(approved, a_number(), on=CUT_OFF, previous_hash="").state
    of_line = {line.invoice_line_id: line for line in invoice.lines}
    claims = [
        claim_of(of_line[line_id], quantity, f"{index}{number}")
        for index, (line_id, (each, _)) in enumerate(groups.items())
        for number, quantity in enumerate(each.quantities)
    ]
    return invoice, claims


def part_of(claim: Claimed, percent: int) -> WantedItem:
    """Return about so much of what is left, in hundredths; all of it where that is nothing."""
    share = (claim.left * percent / 100).quantize(Decimal("0.01"))
    return WantedItem(claim.billing_event_id, share or None)


@given(
    billed=st.lists(lines, min_size=1, max_size=4),
    plan=st.lists(steps, max_size=25),
    currency=st.sampled_from(["JPY", "EUR", "KWD"]),
    policy=st.sampled_from(RoundingPolicy),
)
def test_credit_notes_sum_to_their_invoice(
    billed: list[Billed], plan: list[Step], currency: str, policy: RoundingPolicy
) -> None:
    invoice, claims = an_invoice(billed, currency, policy)
    credits = Credits(invoice, claims)
    for step in plan:
        claim = credits.claims[step.item % (len(claims) - 1)]
        if not claim.left:
            continue
        wanted = WantedLine(claim.invoice_line_id, None, (part_of(claim, step.percent),))
        try:
            credits.credit(wanted, disposition=step.disposition)
        except TotalNotPositive:
            # A part below nothing; the last note takes it back together with what outweighs it.
            assert claim.quantity < 0
    credits.credit()

    assert sums_of(credits.notes) == sums_of([invoice])
    assert all(each.credited_recognised == each.recognised for each in credits.claims)
    for note in credits.notes:
        totals = note.totals
        assert totals.net == Money.total((group.base for group in totals.groups), currency)
        if policy is not RoundingPolicy.PRECISE_SUM:
            assert totals.net == Money.total((line.net for line in note.lines), currency)


Sums = tuple[dict[UUID, Decimal], dict[Decimal, tuple[Decimal, Decimal]], Decimal]


def sums_of(documents: Sequence[Invoice]) -> Sums:
    """Return the net of each line billed, base and tax of each rate, and the gross total."""
    nets: dict[UUID, Decimal] = defaultdict(Decimal)
    groups: dict[Decimal, tuple[Decimal, Decimal]] = {}
    for document in map(printed, documents):
        for line in document.lines:
            nets[line.credits_line_id or line.invoice_line_id] += line.net.amount
        for group in document.totals.groups:
            base, tax = groups.get(group.rate_percent, (Decimal(0), Decimal(0)))
            groups[group.rate_percent] = (base + group.base.amount, tax + group.tax.amount)
    gross = sum((each.totals.gross.amount for each in map(printed, documents)), Decimal(0))
    return nets, groups, gross
