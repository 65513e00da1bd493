"""PDFs of issued invoices: everything formatted here, laid out by `documents/invoice.typ`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final
from uuid import UUID

import typst
from babel import Locale
from babel.dates import format_date, format_interval
from babel.numbers import format_decimal

from invoice_payment.domain.amounts import TaxGroup
from invoice_payment.domain.invoice import Credits, Invoice
from invoice_payment.domain.issue import printed
from invoice_payment.domain.item import ItemType
from invoice_payment.domain.line import HOUR, Line
from invoice_payment.domain.party import Party
from invoice_payment.domain.tax import MEMBER_STATES
from invoice_payment.repository.document import Work
from throughline_core.money import Money, exponent
from throughline_core.period import Period

_UNITED_STATES: Final = "US"
_WITH_VAT: Final = MEMBER_STATES | {"CH", "GB", "NO"}
_LETTER_COUNTRIES: Final = frozenset({"CA", "MX", "US"})

# EN 16931-1, BT-118, in the words of its code list.
_TREATMENTS: Final = {
    "S": "Standard rate",
    "Z": "Zero rated",
    "E": "Exempt from tax",
    "AE": "Reverse charge",
    "K": "Intra-Community supply",
    "G": "Export, tax not charged",
    "O": "Outside scope of tax",
}
_UNITS: Final = {HOUR: ("hour", "hours"), "each": ("each", "each"), "month": ("month", "months")}
_ROWS_REMEMBERED_MAX: Final = 400
# Beyond this an annex sums by person; a page holds about forty rows.
_ANNEX_ROWS_MAX: Final = 2_000
_COMPILATIONS_REMEMBERED: Final = 11
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")  # ISO 13616
_ANNEXED: Final = frozenset({ItemType.TIME, ItemType.EXPENSE})


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF and its SHA-256, hexadecimal."""

    content: bytes
    sha256: str


def render(invoice: Invoice, work: Mapping[UUID, Sequence[Work]]) -> Document:
    """Return the PDF of an issued invoice, with `work` behind its lines as an annex.

    The same invoice gives the same bytes: the document's date is the day of issue. Takes about
    10 ms a page of processor time.

    Raises:
        typst.TypstError: the template failed.
    """
    assert invoice.issued_on is not None, "drafts have no document"
    midnight = datetime(*invoice.issued_on.timetuple()[:3], tzinfo=UTC)
    content = _press().print(
        json.dumps(data_of(invoice, work)),
        rows=len(invoice.lines) + sum(map(len, work.values())),
        timestamp=int(midnight.timestamp()),
    )
    return Document(content, sha256(content).hexdigest())


def data_of(document: Invoice, work: Mapping[UUID, Sequence[Work]]) -> dict[str, object]:
    """Return what the template prints: text only, formatted for the seller's country."""
    invoice = printed(document)
    kind = "Credit note" if invoice.is_credit_note else "Invoice"
    seller, number = invoice.seller, invoice.number
    assert number is not None, "drafts have no document"
    assert invoice.issued_on is not None
    style = _Style.of(invoice)
    is_long = sum(map(len, work.values())) > _ANNEX_ROWS_MAX
    return {
        "title": f"{kind} {number.text}",
        "kind": kind,
        "paper": "us-letter" if style.country in _LETTER_COUNTRIES else "a4",
        "region": style.country,
        "currency": invoice.currency,
        "issued": {
            "year": invoice.issued_on.year,
            "month": invoice.issued_on.month,
            "day": invoice.issued_on.day,
        },
        "seller": {"name": seller.name, "line": "  ·  ".join(_address(seller))},
        "buyer": {
            "name": invoice.buyer.name,
            "lines": _address(invoice.buyer),
            "registration": _registration(invoice.buyer),
        },
        "facts": _facts(invoice, style, number.text),
        "tax_label": style.tax_label,
        "lines": [_line(line, invoice, style) for line in invoice.lines],
        "taxes": [_tax(group, style) for group in invoice.totals.groups],
        "net_total": style.money(invoice.totals.net),
        "tax_total": style.money(invoice.totals.tax),
        "gross_total": style.money(invoice.totals.gross),
        "total_label": "Total credited" if invoice.is_credit_note else "Total due",
        "annex_verb": "credited" if invoice.is_credit_note else "billed",
        "notes": [
            group.exemption_reason for group in invoice.totals.groups if group.exemption_reason
        ],
        "payment": _payment(invoice, style, number.text),
        "footer": _footer(seller),
        "annex": [
            part
            for line in invoice.lines
            for part in _annex(line, work.get(line.invoice_line_id, ()), style, is_long=is_long)
        ],
    }


@dataclass(frozen=True, slots=True)
class _Style:
    """How a seller's country writes dates and numbers, in English."""

    country: str
    locale: Locale
    tax_label: str
    places: int

    @classmethod
    def of(cls, invoice: Invoice) -> "_Style":
        """Return the style of the invoice's seller, in the invoice's currency."""
        country = invoice.seller.address.country
        is_american = country == _UNITED_STATES
        label = "VAT" if country in _WITH_VAT else "Sales tax" if is_american else "Tax"
        locale = Locale("en", "US" if is_american else "GB")
        return cls(country, locale, label, exponent(invoice.currency))

    def money(self, money: Money) -> str:
        """Write an amount of a document with its currency's decimals."""
        return self._decimal(money.rounded().amount, self.places, self.places)

    def rate(self, rate: Decimal) -> str:
        """Write a unit rate with at least its currency's decimals, and all it has."""
        return self._decimal(rate, self.places, 6)

    def number(self, value: Decimal) -> str:
        """Write a number with the decimals it has."""
        return self._decimal(value, 0, 6)

    def quantity(self, value: Decimal, unit: str) -> str:
        """Write a quantity: hours with two decimals, a count with those it has."""
        return self._decimal(value, 2 if unit == HOUR else 0, 4)

    def day(self, day: date) -> str:
        """Write a date in full: 30 September 2026."""
        return format_date(day, "long", locale=self.locale)

    def short_day(self, day: date) -> str:
        """Write a date for a column: 30 Sept 2026."""
        return format_date(day, "medium", locale=self.locale)

    def period(self, period: Period) -> str:
        """Write a service period by its first and last day."""
        last = period.end - timedelta(days=1)
        if last == period.start:
            return self.short_day(last)
        return format_interval(period.start, last, "yMMMd", locale=self.locale)

    def _decimal(self, value: Decimal, least: int, most: int) -> str:
        pattern = f"#,##0.{'0' * least}{'#' * (most - least)}"
        return format_decimal(value, pattern, locale=self.locale).replace("-", "−")


def _facts(invoice: Invoice, style: _Style, number: str) -> list[tuple[str, str]]:
    assert invoice.issued_on is not None
    assert invoice.due_on is not None
    if invoice.credits is not None:
        own = [
            ("Credit note number", number),
            ("Credit note date", style.day(invoice.issued_on)),
            ("Credits invoice", invoice.credits.number),
            ("Invoice date", style.day(invoice.credits.issued_on)),
        ]
    else:
        own = [
            ("Invoice number", number),
            ("Invoice date", style.day(invoice.issued_on)),
            ("Due date", style.day(invoice.due_on)),
        ]
    facts = [
        *own,
        ("Service period", style.period(invoice.service)),
        ("Contract", invoice.contract_number),
        ("Purchase order", invoice.purchase_order_number),
    ]
    return [(name, value) for name, value in facts if value]


def _line(line: Line, invoice: Invoice, style: _Style) -> dict[str, str]:
    treatment = invoice.treatments[line.tax_category]
    detail = [style.period(line.service)]
    if line.item_count > 1:
        detail.append(f"{line.item_count} entries")
    if line.purchase_order_number:
        detail.append(f"Purchase order {line.purchase_order_number}")
    return {
        "position": str(line.position),
        "description": line.description,
        "detail": "  ·  ".join(detail),
        "quantity": style.quantity(line.quantity, line.unit),
        "unit": _unit(line),
        "rate": style.rate(line.unit_rate.amount),
        "tax": f"{treatment.tax_code} {style.number(treatment.rate_percent)} %",
        "net": style.money(line.net),
    }


def _tax(group: TaxGroup, style: _Style) -> dict[str, str]:
    return {
        "code": group.tax_code,
        "name": _TREATMENTS.get(group.tax_code, ""),
        "rate": f"{style.number(group.rate_percent)} %",
        "base": style.money(group.base),
        "tax": style.money(group.tax),
    }


def _payment(invoice: Invoice, style: _Style, number: str) -> dict[str, object]:
    assert invoice.due_on is not None
    if invoice.credits is not None:
        return _refund(invoice.credits, invoice.seller)
    days = invoice.payment_terms_days
    due = style.day(invoice.due_on)
    terms = f"Payable without deduction by {due} ({days} days from the invoice date)."
    if days == 0:
        terms = f"Payable without deduction on receipt, {due}."
    rows = [*_account(invoice.seller), ("Reference", number), ("Questions", invoice.seller.email)]
    account = [(name, value) for name, value in rows if value]
    return {"label": "Payment", "terms": terms, "account": account}


def _refund(credits: Credits, seller: Party) -> dict[str, object]:
    terms = (
        f"Reason: {credits.reason}. The amount is set off against invoice {credits.number}; what"
        " exceeds its open amount is kept to your credit."
    )
    account = [("Questions", seller.email)] if seller.email else []
    return {"label": "Credit", "terms": terms, "account": account}


def _annex(
    line: Line, work: Sequence[Work], style: _Style, *, is_long: bool
) -> list[dict[str, object]]:
    """Return the annex's part about a line; none where the line itself says it all."""
    if line.type not in _ANNEXED or not work:
        return []
    if len(work) == 1 and work[0].description in line.description:
        return []
    quantity = style.quantity(line.quantity, line.unit)
    unit = _unit(line)
    rate = style.rate(line.unit_rate.amount)
    return [
        {
            "position": str(line.position),
            "description": line.description,
            "unit": unit,
            "entries": [
                {
                    "date": style.period(entry.service),
                    "person": entry.person_name,
                    "text": entry.description,
                    "quantity": style.quantity(entry.quantity, line.unit),
                    "rate": style.rate(entry.unit_rate),
                }
                for entry in (_by_person(work) if is_long else work)
            ],
            "sum": f"{len(work)} entries  ·  {quantity} {unit} × {rate} = {style.money(line.net)}",
            "quantity": quantity,
            "net": style.money(line.net),
        }
    ]


def _by_person(work: Sequence[Work]) -> list[Work]:
    """Return one row for each person: nobody reads a thousand pages, and nobody could print them.

    Every single entry stays to be had with the invoice's items.
    """
    of: dict[str, list[Work]] = {}
    for entry in work:
        of.setdefault(entry.person_name, []).append(entry)
    return [
        replace(
            own[0],
            description=f"{len(own)} entries",
            service=Period(
                min(entry.service.start for entry in own),
                max(entry.service.end for entry in own),
            ),
            quantity=sum((entry.quantity for entry in own), Decimal(0)),
            amount=sum((entry.amount for entry in own), Decimal(0)),
        )
        for _, own in sorted(of.items())
    ]


def _unit(line: Line) -> str:
    one, many = _UNITS.get(line.unit, (line.unit, line.unit))
    return one if line.quantity == 1 else many


def _address(party: Party) -> list[str]:
    """Return the lines of an address below the name, as its country writes them."""
    address = party.address
    if address.country == _UNITED_STATES:
        town = f"{address.city}, {address.region} {address.postal_code}"
    else:
        town = f"{address.postal_code} {address.city}"
    country = Locale("en").territories.get(address.country, address.country)
    return [*address.lines, town.strip(), country]


def _registration(party: Party) -> str:
    label = "VAT ID" if party.address.country in _WITH_VAT else "Tax ID"
    return f"{label} {party.tax_id}" if party.tax_id else ""


def _footer(seller: Party) -> list[list[str]]:
    rows = [
        [seller.name, *_address(seller)],
        [part for part in (seller.registration, _registration(seller), seller.email) if part],
    ]
    return [row for row in rows if row]


def _account(seller: Party) -> list[tuple[str, str]]:
    if not seller.iban:
        return []
    holder = ("Account holder", seller.name)
    if _IBAN.fullmatch(seller.iban):
        return [holder, ("IBAN", _in_fours(seller.iban)), ("BIC", seller.bic)]
    return [holder, ("Account number", seller.iban), ("Routing number", seller.bic)]


def _in_fours(iban: str) -> str:
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))


class _Press:
    """This process's compiler, which keeps the parsed template and the fonts.

    typst remembers the parts of a document until ten more were compiled: hundreds of megabytes
    when they are long. Blank ones make it forget.
    """

    def __init__(self) -> None:
        folder = files("invoice_payment") / "documents"
        self._template = typst.Compiler(str(folder / "invoice.typ"), ignore_system_fonts=True)
        self._blank = typst.Compiler(str(folder / "blank.typ"), ignore_system_fonts=True)
        self._rows_remembered = 0

    def print(self, data: str, *, rows: int, timestamp: int) -> bytes:
        """Return the PDF of `data`, which has about so many table rows."""
        content = self._template.compile(
            format="pdf",
            sys_inputs={"invoice": data},
            timestamp=timestamp,
            pdf_standards="a-3b",
        )
        assert isinstance(content, bytes), "one document is one byte string"
        self._rows_remembered += rows
        if self._rows_remembered > _ROWS_REMEMBERED_MAX:
            for _ in range(_COMPILATIONS_REMEMBERED):
                self._blank.compile(format="svg")
            self._rows_remembered = 0
        return content


@cache
def _press() -> _Press:
    return _Press()
