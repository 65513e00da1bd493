"""Values for tests: the deal all samples tell of, and invoices made of it here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from invoice_payment.domain.amounts import RoundingPolicy, TaxTreatment
from invoice_payment.domain.draft import (
    Buyer,
    InvoiceGrouping,
    LineDetail,
    LineItems,
    Run,
    SoldLine,
    Terms,
    draft_invoice,
)
from invoice_payment.domain.invoice import Invoice, approve
from invoice_payment.domain.issue import issue
from invoice_payment.domain.item import ItemType
from invoice_payment.domain.party import Address, Party
from invoice_payment.domain.payment import Payment, PaymentStatus
from invoice_payment.domain.series import Number, Series, SeriesKey
from invoice_payment.domain.tax import BuyerRegistration, TaxRule
from throughline_core.money import Money
from throughline_core.period import Period


def an_id(suffix: str) -> UUID:
    """Return an id of the deal that all samples tell of, by its last digits."""
    return UUID(f"01980000-0000-7000-8000-{suffix.rjust(12, '0')}")


DE01: Final = an_id("e1")
CUSTOMER: Final = an_id("c1")
CONTRACT: Final = an_id("b1")
FIXED_FEE: Final = an_id("b101")
DELIVERY: Final = an_id("b102")
RELEASED_AT: Final = datetime(2026, 9, 30, 9, tzinfo=UTC)
DRAFTED_AT: Final = datetime(2026, 9, 30, 16, tzinfo=UTC)
CUT_OFF: Final = date(2026, 9, 30)
STARTER: Final = "user:billing-clerk"
APPROVER: Final = "user:finance-lead"

STANDARD: Final = TaxTreatment("S", Decimal("19.00"))
REVERSE_CHARGE: Final = TaxTreatment("AE", Decimal(0), "Reverse charge")


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def one_day(text: str) -> Period:
    day = date.fromisoformat(text)
    return Period(day, date.fromordinal(day.toordinal() + 1))


def a_seller(**values: Any) -> Party:
    seller = Party(
        party_id=DE01,
        name="Morgenstern Consulting GmbH",
        address=Address(("Torstraße 140",), "Berlin", "10119", "", "DE"),
        tax_id="DE136695976",
        registration="Amtsgericht Charlottenburg HRB 204711",
        iban="DE89370400440532013000",
        bic="COBADEFFXXX",
        email="billing@morgenstern.example",
    )
    return replace(seller, **values)


def a_buyer(*, country: str = "DE", is_registered: bool = True) -> Buyer:
    address = Address(("Am Sandtorkai 50",), "Hamburg", "20457", "", country)
    return Buyer(Party(CUSTOMER, "Nordwind Logistik GmbH", address, "DE284917655"), is_registered)


def a_rule(**values: Any) -> TaxRule:
    rule = TaxRule(
        tax_rule_id=an_id("2a1"),
        version=1,
        seller_country="DE",
        buyer_country="DE",
        buyer_registration=BuyerRegistration.ANY,
        tax_category="*",
        treatment=STANDARD,
        valid_from=date(2021, 1, 1),
        valid_to=None,
    )
    return replace(rule, **values)


def terms(**values: Any) -> Terms:
    agreed = Terms(
        contract_id=CONTRACT,
        version=3,
        number="CT-000017",
        legal_entity_id=DE01,
        currency="EUR",
        payment_terms_days=30,
        purchase_order_number="PO-4500017",
        invoice_grouping=InvoiceGrouping.CONTRACT,
        line_detail=LineDetail.ROLE,
        engagement_id=an_id("f1"),
        correlation_id=an_id("f2"),
        lines={
            FIXED_FEE: SoldLine(1, "Discovery workshop and target architecture"),
            DELIVERY: SoldLine(2, "Delivery by time and materials"),
        },
    )
    return replace(agreed, **values)


def hours(quantity: str, rate: str = "180.00", **values: Any) -> LineItems:
    """Return time of a senior consultant that becomes one line."""
    items = LineItems(
        invoice_line_id=an_id("1b2"),
        contract_line_id=DELIVERY,
        quote_line_id=an_id("a102"),
        type=ItemType.TIME,
        quantity=Decimal(quantity),
        unit="hour",
        unit_rate=eur(rate),
        tax_category="professional_services",
        recognised=(eur(rate) * Decimal(quantity)).rounded(),
        service=one_day("2026-09-07"),
        item_count=1,
        role="senior_consultant",
        person_name="Ada Brandt",
        description="Architecture workshop",
    )
    return replace(items, **values)


def milestone(amount: str = "9600.00", **values: Any) -> LineItems:
    """Return an accepted milestone that becomes one line."""
    items = LineItems(
        invoice_line_id=an_id("1b1"),
        contract_line_id=FIXED_FEE,
        quote_line_id=an_id("a101"),
        type=ItemType.MILESTONE,
        quantity=Decimal(1),
        unit="each",
        unit_rate=eur(amount),
        tax_category="professional_services",
        recognised=eur(amount),
        service=one_day("2026-09-11"),
        item_count=1,
        role="",
        person_name="",
        description="Kickoff held and scope agreed",
    )
    return replace(items, **values)


def a_run(*rules: TaxRule, **values: Any) -> Run:
    run = Run(
        run_id=an_id("1c1"),
        started_by=STARTER,
        drafted_at=DRAFTED_AT,
        rounding_policy=RoundingPolicy.EN16931,
        seller=a_seller(),
        rules=rules or (a_rule(),),
    )
    return replace(run, **values)


def a_draft(
    *items: LineItems,
    run: Run | None = None,
    buyer: Buyer | None = None,
    agreed: Terms | None = None,
) -> Invoice:
    """Return the first version of the invoice all samples tell of, or of other items."""
    change = draft_invoice(
        run or a_run(),
        an_id("1a1"),
        agreed or terms(),
        buyer or a_buyer(),
        items or (hours("8.00"), milestone()),
    )
    return change.state


def an_approved(*items: LineItems) -> Invoice:
    return approve(a_draft(*items), by=APPROVER).state


def a_number(sequence: int = 1) -> Number:
    key = SeriesKey(DE01, Series.INVOICE, 2026)
    return Number(key, sequence, f"INV-DE01-2026-{sequence:06d}")


def an_issued(*items: LineItems, sequence: int = 1) -> Invoice:
    approved = an_approved(*items)
    return issue(approved, a_number(sequence), on=CUT_OFF, previous_hash="").state


def a_payment(amount: str = "13137.60", **values: Any) -> Payment:
    payment = Payment(
        payment_id=an_id("1d1"),
        version=1,
        provider="stripe",
        provider_payment_id="ch_3Q2cNw0001",
        status=PaymentStatus.RECEIVED,
        amount=eur(amount),
        allocated=eur("0.00"),
        received_on=date(2026, 10, 12),
        legal_entity_id=DE01,
        customer_id=CUSTOMER,
        reference="INV-DE01-2026-000001",
        recorded_at=datetime(2026, 10, 12, 9, 30, tzinfo=UTC),
    )
    return replace(payment, **values)


def nets(invoice: Invoice) -> list[str]:
    return [f"{line.net.amount:f}" for line in invoice.lines]


def statuses_without(target: Any, transitions: Mapping[Any, frozenset[Any]]) -> Sequence[Any]:
    """Return the statuses from which the table allows no move to `target`."""
    return [status for status, targets in transitions.items() if target not in targets]
