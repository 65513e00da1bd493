"""The invariants of the platform, as comparisons of control totals.

One module for everybody: the `reconcile` command, the fault drills and the stories. Each rule is a
pure function over what the services say of themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

Figures = Mapping[str, Decimal]
# Service → name of the total → figure → value.
Totals = Mapping[str, Mapping[str, Figures]]

_CONTRACTS: Final = "customer-contract"
_PROJECTS: Final = "project-provisioning"
_BILLING: Final = "billing-event"
_INVOICES: Final = "invoice-payment"
_REPORTING: Final = "reporting"
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same figure as two parties know it."""

    figure: str
    left_name: str
    left: Decimal
    right_name: str
    right: Decimal

    @property
    def difference(self) -> Decimal:
        return self.left - self.right


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule with the figures it was checked on."""

    number: int
    rule: str
    comparisons: tuple[Comparison, ...]

    @property
    def holds(self) -> bool:
        return all(comparison.difference == 0 for comparison in self.comparisons)


class _Books:
    """The control totals, with absent figures read as nought."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    @property
    def services(self) -> list[str]:
        return sorted(self._totals)

    def figures(self, service: str, name: str) -> Figures:
        return self._totals.get(service, {}).get(name, {})

    def value(self, service: str, name: str, figure: str) -> Decimal:
        return self.figures(service, name).get(figure, _ZERO)

    def compare(self, left: tuple[str, str, str], right: tuple[str, str, str]) -> Comparison:
        return Comparison(
            figure=left[2],
            left_name=" ".join(left),
            left=self.value(*left),
            right_name=" ".join(right),
            right=self.value(*right),
        )

    def is_nought(self, service: str, name: str, figure: str) -> Comparison:
        return Comparison(
            figure=figure,
            left_name=f"{service} {name} {figure}",
            left=self.value(service, name, figure),
            right_name="nought",
            right=_ZERO,
        )

    def currencies(self, *totals: tuple[str, str]) -> list[str]:
        """Return the currencies any figure of these totals is in."""
        return sorted(
            {
                figure.rpartition(".")[2]
                for service, name in totals
                for figure in self.figures(service, name)
                if "." in figure
            }
        )


def check(totals: Totals) -> list[Invariant]:
    """Return each invariant with its comparisons; `holds` says whether all of them agree."""
    books = _Books(totals)
    return [
        Invariant(number, rule, tuple(compare(books)))
        for number, (rule, compare) in enumerate(_RULES, start=1)
    ]


def is_settled(totals: Totals) -> bool:
    """Whether everything published was taken by every consumer, so that figures must agree."""
    return all(comparison.difference == 0 for comparison in _deliveries(_Books(totals)))


def _work(books: _Books) -> Iterator[Comparison]:
    for figure in ("entries", "minutes"):
        yield books.compare((_PROJECTS, "approved_time", figure), (_BILLING, "source_time", figure))
    yield books.compare(
        (_PROJECTS, "approved_expenses", "lines"), (_BILLING, "source_expenses", "lines")
    )
    yield books.compare(
        (_PROJECTS, "milestones", "accepted"), (_BILLING, "source_milestones", "accepted")
    )
    for currency in books.currencies((_PROJECTS, "approved_expenses"), (_PROJECTS, "milestones")):
        yield books.compare(
            (_PROJECTS, "approved_expenses", f"net.{currency}"),
            (_BILLING, "source_expenses", f"net.{currency}"),
        )
        yield books.compare(
            (_PROJECTS, "milestones", f"accepted_amount.{currency}"),
            (_BILLING, "source_milestones", f"accepted_amount.{currency}"),
        )
    yield books.is_nought(_BILLING, "unexplained_sources", "count")
    yield books.is_nought(_BILLING, "quantity_mismatch", "count")


def _positions(books: _Books) -> Iterator[Comparison]:
    for currency in books.currencies((_BILLING, "positions"), (_INVOICES, "billable_items")):
        parts = sum(
            (
                books.value(_BILLING, "positions", f"{state}.{currency}")
                for state in ("held", "eligible", "released", "written_off")
            ),
            _ZERO,
        )
        yield Comparison(
            figure=f"rated.{currency}",
            left_name=f"{_BILLING} positions rated",
            left=books.value(_BILLING, "positions", f"rated.{currency}"),
            right_name="held + eligible + released + written off",
            right=parts,
        )
        yield _settled(books, currency)
        yield books.compare(
            (_BILLING, "positions", f"released.{currency}"),
            (_INVOICES, "billable_items", f"amount.{currency}"),
        )
        yield books.compare(
            (_BILLING, "positions", f"invoiced.{currency}"),
            (_INVOICES, "billable_items", f"invoiced_amount.{currency}"),
        )
        for figure in ("credited", "drawn"):
            yield books.compare(
                (_BILLING, "positions", f"{figure}.{currency}"),
                (_INVOICES, "billable_items", f"{figure}.{currency}"),
            )
        yield books.compare(
            (_BILLING, "positions", f"open_released.{currency}"),
            (_INVOICES, "billable_items", f"open_amount.{currency}"),
        )


def _settled(books: _Books, currency: str) -> Comparison:
    """Rated = unbilled + invoiced − credited + written off + drawn, over both ledgers."""

    def billing(figure: str) -> Decimal:
        return books.value(_BILLING, "positions", f"{figure}.{currency}")

    unbilled = billing("held") + billing("eligible") + billing("open_released")
    given_up = books.value(_INVOICES, "billable_items", f"credited_given_up.{currency}")
    return Comparison(
        figure=f"settled.{currency}",
        left_name=f"{_BILLING} positions rated",
        left=billing("rated"),
        right_name="unbilled + invoiced - credited + written off + drawn",
        right=unbilled
        + billing("invoiced")
        - billing("credited")
        + billing("written_off")
        + given_up
        + billing("drawn"),
    )


def _claims(books: _Books) -> Iterator[Comparison]:
    yield books.is_nought(_BILLING, "over_allocated", "count")
    yield books.is_nought(_BILLING, "given_up", "of_taken_back")
    yield books.is_nought(_INVOICES, "billable_items", "claimed_live_twice")


def _ledger(books: _Books) -> Iterator[Comparison]:
    yield books.is_nought(_INVOICES, "journal", "unbalanced")
    for currency in books.currencies((_INVOICES, "journal"), (_INVOICES, "invoices")):
        yield books.compare(
            (_INVOICES, "journal", f"receivable.{currency}"),
            (_INVOICES, "invoices", f"open.{currency}"),
        )
        yield books.compare(
            (_INVOICES, "journal", f"unapplied_cash.{currency}"),
            (_INVOICES, "payments", f"unapplied.{currency}"),
        )
        yield books.compare(
            (_INVOICES, "journal", f"contract_asset.{currency}"),
            (_INVOICES, "recognised_open", f"amount.{currency}"),
        )
        yield books.compare(
            (_INVOICES, "credit_notes", f"applied.{currency}"),
            (_INVOICES, "invoices", f"credited.{currency}"),
        )
        for left, right in (("receivable", "payable"), ("revenue", "cost")):
            yield books.compare(
                (_INVOICES, "journal", f"intercompany_{left}.{currency}"),
                (_INVOICES, "journal", f"intercompany_{right}.{currency}"),
            )


def _numbers(books: _Books) -> Iterator[Comparison]:
    yield books.is_nought(_INVOICES, "number_series", "gaps")
    yield books.is_nought(_INVOICES, "number_series", "repeats")
    yield books.is_nought(_INVOICES, "issued_chain", "breaks")


def _payments(books: _Books) -> Iterator[Comparison]:
    for currency in books.currencies((_INVOICES, "payments"), (_INVOICES, "invoices")):
        yield Comparison(
            figure=f"amount.{currency}",
            left_name=f"{_INVOICES} payments amount",
            left=books.value(_INVOICES, "payments", f"amount.{currency}"),
            right_name="allocated + unapplied",
            right=books.value(_INVOICES, "payments", f"allocated.{currency}")
            + books.value(_INVOICES, "payments", f"unapplied.{currency}"),
        )
        yield books.compare(
            (_INVOICES, "payments", f"allocated.{currency}"),
            (_INVOICES, "invoices", f"paid.{currency}"),
        )


def _limits(books: _Books) -> Iterator[Comparison]:
    yield books.is_nought(_BILLING, "limits", "over_committed")


def _deliveries(books: _Books) -> Iterator[Comparison]:
    """Outbox rows of a subject against inbox rows of each durable that takes it."""
    published: dict[str, Decimal] = {}
    for service in books.services:
        published.update(books.figures(service, "outbox"))
    for service in books.services:
        for figure, taken in sorted(books.figures(service, "inbox").items()):
            durable, _, subject = figure.partition(" ")
            yield Comparison(
                figure=subject,
                left_name="published",
                left=published.get(subject, _ZERO),
                right_name=f"taken by {durable}",
                right=taken,
            )
        yield books.is_nought(service, "parked", "count")


def _reports(books: _Books) -> Iterator[Comparison]:
    for figure in ("entries", "minutes"):
        yield books.compare(
            (_PROJECTS, "approved_time", figure), (_REPORTING, "approved_time", figure)
        )
    for document in ("invoices", "credit_notes"):
        yield books.compare((_INVOICES, document, "issued"), (_REPORTING, document, "issued"))
    for currency in books.currencies((_BILLING, "positions"), (_INVOICES, "invoices")):
        for state in (
            "rated",
            "held",
            "eligible",
            "released",
            "written_off",
            "allocated",
            "invoiced",
            "credited",
            "drawn",
        ):
            yield books.compare(
                (_BILLING, "positions", f"{state}.{currency}"),
                (_REPORTING, "positions", f"{state}.{currency}"),
            )
        for figure in ("gross", "paid"):
            yield books.compare(
                (_INVOICES, "invoices", f"{figure}.{currency}"),
                (_REPORTING, "invoices", f"{figure}.{currency}"),
            )
        for figure in ("gross", "applied"):
            yield books.compare(
                (_INVOICES, "credit_notes", f"{figure}.{currency}"),
                (_REPORTING, "credit_notes", f"{figure}.{currency}"),
            )
    for currency in books.currencies((_BILLING, "intercompany")):
        yield books.compare(
            (_BILLING, "intercompany", f"amount.{currency}"),
            (_REPORTING, "intercompany", f"amount.{currency}"),
        )
    for currency in books.currencies((_CONTRACTS, "contracts")):
        yield books.compare(
            (_CONTRACTS, "contracts", f"contracted.{currency}"),
            (_REPORTING, "contracts", f"contracted.{currency}"),
        )


_RULES: Final[Sequence[tuple[str, Callable[[_Books], Iterator[Comparison]]]]] = (
    (
        "Every approved thing stands in the ledger once, in full, or under a hold that says why",
        _work,
    ),
    (
        "Rated is held + eligible + released + written off, and what was released is open,"
        " invoiced, credited, given up or drawn",
        _positions,
    ),
    ("Nothing is claimed beyond its amount, nor by two live documents", _claims),
    (
        "The books balance and agree with open invoices, unapplied cash and credit, unbilled work,"
        " and between entities",
        _ledger,
    ),
    (
        "Every number series runs without gap or repeat, and issued documents are unaltered",
        _numbers,
    ),
    ("Payments are allocated or unapplied, and invoices know what they were paid", _payments),
    ("No hard limit is exceeded", _limits),
    ("Everything published was taken once by every consumer, and nothing is parked", _deliveries),
    ("Reports say what the owners say", _reports),
)
