"""What an invoice was paid is shared among its contract lines, before tax, to the cent."""

from decimal import Decimal
from uuid import UUID

from reporting.domain import InvoicedLine, paid_by_contract_line
from throughline_core.money import Money

FIRST, SECOND, THIRD = (UUID(int=number) for number in (1, 2, 3))


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def lines(paid: str, *nets: tuple[UUID, str], gross: str) -> list[InvoicedLine]:
    return [InvoicedLine(line, eur(net), eur(gross), eur(paid)) for line, net in nets]


def test_a_paid_invoice_gives_each_line_exactly_its_net() -> None:
    invoiced = lines("119.00", (FIRST, "33.33"), (SECOND, "66.67"), gross="119.00")
    assert paid_by_contract_line(invoiced) == {FIRST: eur("33.33"), SECOND: eur("66.67")}


def test_a_partial_payment_is_shared_and_no_cent_is_lost() -> None:
    equal = [(FIRST, "10.00"), (SECOND, "10.00"), (THIRD, "10.00")]
    shares = paid_by_contract_line(lines("10.00", *equal, gross="36.30"))
    assert Money.total(shares.values(), "EUR") == eur("8.26")
    assert sorted(share.amount for share in shares.values()) == [
        Decimal("2.75"),
        Decimal("2.75"),
        Decimal("2.76"),
    ]


def test_several_lines_of_one_contract_line_add_up() -> None:
    invoiced = lines("20.00", (FIRST, "12.00"), (FIRST, "8.00"), gross="20.00")
    assert paid_by_contract_line(invoiced) == {FIRST: eur("20.00")}


def test_an_invoice_of_nothing_pays_nothing() -> None:
    assert paid_by_contract_line(lines("0", (FIRST, "0.00"), gross="0.00")) == {FIRST: eur("0")}
